WITH linked AS (
    -- Of several companies the one that was seen last; of two seen at once the one whose values were stored with theirs.
    SELECT contact_key AS subject_key, substr(company_key, length('domain:') + 1) AS company_domain
    FROM contact_company
    WHERE
        contact_key IN (SELECT subject_key FROM touched)
        AND starts_with(company_key, 'domain:')
        AND ended_at IS NULL
    QUALIFY row_number() OVER (
        PARTITION BY contact_key ORDER BY last_seen_at DESC, kind = 'employed' DESC, company_key
    ) = 1
),
filled AS (
    SELECT
        subject_key,
        max(value_text) FILTER (field = 'email') AS email,
        max(value_text) FILTER (field = 'email_status') AS email_status,
        max(value_text) FILTER (field = 'first_name') AS first_name,
        max(value_text) FILTER (field = 'last_name') AS last_name,
        max(value_text) FILTER (field = 'title') AS title,
        max(value_text) FILTER (field = 'seniority') AS seniority,
        max(value_text) FILTER (field = 'phone') AS phone,
        max(value_text) FILTER (field = 'city') AS city,
        max(value_text) FILTER (field = 'state') AS state,
        max(value_text) FILTER (field = 'country') AS country,
        max(value_text) FILTER (field = 'linkedin_url') AS linkedin_url,
        max(value_text) FILTER (field = 'twitter_url') AS twitter_url,
        to_json(map(list(field ORDER BY field), list({
            'provider': provider,
            'fetched_at': strftime(fetched_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'),
            'confidence': confidence,
            'cost_usd': cost_usd::DOUBLE,
            'event_id': event_id
        } ORDER BY field)))::VARCHAR AS provenance,
        min(first_seen_at) AS first_seen_at,
        max(updated_at) AS updated_at
    FROM best_values
    WHERE starts_with(subject_key, 'email:')
    GROUP BY subject_key
)
SELECT filled.*, linked.company_domain
FROM filled
LEFT JOIN linked USING (subject_key);
