-- THE rule for the best value of a field of a subject, over the whole ledger, for the subjects in "touched":
-- the latest fetched_at wins; at the same moment what the CRM had wins over what was bought, then the higher
-- confidence, then the provider's name (alphabetically first), then the row written last.
CREATE OR REPLACE TEMP TABLE best_values AS
SELECT
    *,
    min(fetched_at) OVER (PARTITION BY subject_key) AS first_seen_at,
    max(fetched_at) OVER (PARTITION BY subject_key) AS updated_at
FROM field_values
WHERE subject_key IN (SELECT subject_key FROM touched)
QUALIFY row_number() OVER (
    PARTITION BY subject_key, field
    ORDER BY fetched_at DESC, provider IN ('hubspot', 'salesforce') DESC, confidence DESC, provider, value_id DESC
) = 1;
