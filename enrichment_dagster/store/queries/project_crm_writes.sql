MERGE INTO crm_writes USING (
    SELECT * REPLACE (written::JSON AS written, kept::JSON AS kept)
    FROM incoming
) AS incoming_rows USING (outbox_id)
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
