-- THE rule for the best value of a field of a subject, over the whole ledger, for the subjects in "touched":
-- the latest fetched_at wins; at the same moment a fresh value wins over a stale one, then the lower precedence (what the
-- CRM had, then the plan's order), then the higher confidence, then the provider's name (alphabetically first), then the
-- row written last. Alternatives never compete. Where the winner is a CRM that repeats what a provider said before it,
-- that provider's row stands: the CRM has the value from us.
CREATE OR REPLACE TEMP TABLE best_values AS
WITH competing AS (
    SELECT
        * EXCLUDE (precedence),
        provider IN ('hubspot', 'salesforce') AS from_crm,
        -- Values of version 1 have no precedence, or none that says more than "bought".
        CASE
            WHEN provider IN ('hubspot', 'salesforce') THEN 0 ELSE greatest(coalesce(precedence, 1), 1)
        END AS precedence,
        list_sort(list_distinct(string_split(value_text, '; '))) AS parts, -- a CRM orders a multi-select as it likes
        min(fetched_at) OVER (PARTITION BY subject_key) AS first_seen_at,
        max(fetched_at) OVER (PARTITION BY subject_key) AS updated_at
    FROM field_values
    WHERE subject_key IN (SELECT subject_key FROM touched) AND coalesce(chosen, true)
),
ranked AS (
    SELECT
        *,
        row_number() OVER ranking AS place,
        first_value(from_crm) OVER ranking
        AND NOT from_crm
        AND parts = first_value(parts) OVER ranking
        AND fetched_at < first_value(fetched_at) OVER ranking AS is_origin
    FROM competing
    WINDOW ranking AS (
        PARTITION BY subject_key, field
        ORDER BY fetched_at DESC, coalesce(stale, false), precedence, confidence DESC, provider, value_id DESC
    )
)
SELECT *
FROM ranked
QUALIFY row_number() OVER (PARTITION BY subject_key, field ORDER BY is_origin DESC, place) = 1;
