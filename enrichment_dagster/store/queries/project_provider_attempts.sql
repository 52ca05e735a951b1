MERGE INTO provider_attempts USING (
    SELECT * EXCLUDE (cost_micros), (cost_micros * 0.000001)::DECIMAL(18, 6) AS cost_usd
    FROM incoming
) AS incoming_rows USING (attempt_id)
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
