MERGE INTO events USING (
    SELECT
        * EXCLUDE (cost_micros) REPLACE (missing::JSON AS missing, steps::JSON AS steps),
        (cost_micros * 0.000001)::DECIMAL(18, 6) AS cost_usd
    FROM incoming
) AS incoming_rows USING (work_id)
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
