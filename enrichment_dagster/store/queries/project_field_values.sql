-- value_text is the value as plain text: tags joined by "; ", entries as a CRM shows them ("Name, Title; Name, Title").
-- The ledger only grows. The range keeps the look-up of rows that are there already to the files that may hold them.
INSERT INTO field_values BY NAME
SELECT
    * EXCLUDE (cost_micros) REPLACE (value::JSON AS value),
    CASE
        WHEN json_type(value, '$[0]') = 'OBJECT' THEN array_to_string(list_transform(
            from_json(value, '[{"name": "VARCHAR", "title": "VARCHAR", "url": "VARCHAR"}]'),
            lambda entry: replace(concat_ws(', ', entry.name, entry.title, entry.url), ';', ',')
        ), '; ')
        WHEN json_type(value) = 'ARRAY' THEN array_to_string(from_json(value, '["VARCHAR"]'), '; ')
        ELSE value ->> '$'
    END AS value_text,
    (cost_micros * 0.000001)::DECIMAL(18, 6) AS cost_usd
FROM incoming
WHERE value_id NOT IN (SELECT value_id FROM field_values WHERE value_id BETWEEN $low AND $high);
