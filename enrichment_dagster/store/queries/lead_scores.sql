-- Segment, score and route of every person by the configuration's routing rules, over the fields that are stored.
-- Replaced whenever the rules change (see lead_scores.py, which fills in what begins with a dollar sign).
CREATE OR REPLACE VIEW lead_scores AS
WITH stored AS (
    SELECT
        contact.* EXCLUDE (subject_key, email, company_domain, provenance, first_seen_at, updated_at),
        company.* EXCLUDE (subject_key, company_domain, provenance, first_seen_at, updated_at),
        coalesce(contact.email, substr(contact.subject_key, length('email:') + 1)) AS email,
        coalesce(company.company_domain, contact.company_domain) AS company_domain,
        greatest(contact.updated_at, company.updated_at) AS updated_at
    FROM contacts AS contact
    LEFT JOIN companies AS company ON company.subject_key = 'domain:' || contact.company_domain
),
known AS (
    SELECT * REPLACE ($numbers)
    FROM stored
),
segmented AS (
    SELECT
        *,
        $segment AS segment,
        $points AS score,
        $score_reasons AS score_reasons,
        $segment_reason AS segment_reason
    FROM known
)
SELECT
    email,
    company_domain,
    segment,
    score::INTEGER AS score,
    $route AS route,
    flatten([segment_reason, score_reasons, $route_reason]) AS reasons,
    updated_at
FROM segmented;
