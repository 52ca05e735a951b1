MERGE INTO contact_company AS link USING incoming USING (contact_key, company_key)
WHEN MATCHED THEN UPDATE SET
    since = least(link.since, incoming.since),
    last_seen_at = greatest(link.last_seen_at, incoming.last_seen_at),
    last_event_id = CASE
        WHEN incoming.last_value_id >= link.last_value_id THEN incoming.last_event_id ELSE link.last_event_id
    END,
    last_value_id = greatest(link.last_value_id, incoming.last_value_id)
WHEN NOT MATCHED THEN INSERT BY NAME;
