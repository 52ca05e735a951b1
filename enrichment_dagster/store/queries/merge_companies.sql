MERGE INTO companies USING (
    SELECT
        * REPLACE (
            executives::JSON AS executives,
            account_contacts::JSON AS account_contacts,
            news::JSON AS news,
            provenance::JSON AS provenance
        )
    FROM incoming
) AS incoming_rows USING (subject_key)
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
