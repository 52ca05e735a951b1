-- The ledger only grows. The range keeps the look-up of rows that are there already to the files that may hold them.
INSERT INTO field_values BY NAME
SELECT
    * EXCLUDE (cost_micros) REPLACE (value::JSON AS value),
    CASE json_type(value)
        WHEN 'ARRAY' THEN array_to_string(from_json(value, '["VARCHAR"]'), '; ')
        ELSE value ->> '$'
    END AS value_text,
    (cost_micros * 0.000001)::DECIMAL(18, 6) AS cost_usd
FROM incoming
WHERE value_id NOT IN (SELECT value_id FROM field_values WHERE value_id BETWEEN $low AND $high);
