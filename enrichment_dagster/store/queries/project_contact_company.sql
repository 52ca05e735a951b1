MERGE INTO contact_company USING incoming USING (contact_key, company_key, kind, system)
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
