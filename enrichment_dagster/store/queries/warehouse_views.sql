-- Views for people. Replaced whenever this file changes (see warehouse_schema.py).

-- How long events take, in seconds, by stage. Follow-ups are left out: they start long after their event.
CREATE OR REPLACE VIEW latency_by_event_type AS
WITH spans AS (
    SELECT
        event_type,
        epoch_ms(delivered_at) - epoch_ms(occurred_at) AS end_to_end,
        epoch_ms(received_at) - epoch_ms(occurred_at) AS ingest_lag,
        epoch_ms(started_at) - epoch_ms(received_at) AS queue_wait,
        epoch_ms(finished_at) - epoch_ms(started_at) AS processing,
        epoch_ms(delivered_at) - epoch_ms(finished_at) AS delivery
    FROM events
    WHERE kind = 'event'
)
SELECT
    event_type,
    count(*) AS events,
    count(end_to_end) AS delivered,
    quantile_cont(end_to_end, 0.50) / 1000 AS end_to_end_p50_s,
    quantile_cont(end_to_end, 0.95) / 1000 AS end_to_end_p95_s,
    quantile_cont(end_to_end, 0.99) / 1000 AS end_to_end_p99_s,
    quantile_cont(ingest_lag, 0.50) / 1000 AS ingest_lag_p50_s,
    quantile_cont(ingest_lag, 0.95) / 1000 AS ingest_lag_p95_s,
    quantile_cont(ingest_lag, 0.99) / 1000 AS ingest_lag_p99_s,
    quantile_cont(queue_wait, 0.50) / 1000 AS queue_wait_p50_s,
    quantile_cont(queue_wait, 0.95) / 1000 AS queue_wait_p95_s,
    quantile_cont(queue_wait, 0.99) / 1000 AS queue_wait_p99_s,
    quantile_cont(processing, 0.50) / 1000 AS processing_p50_s,
    quantile_cont(processing, 0.95) / 1000 AS processing_p95_s,
    quantile_cont(processing, 0.99) / 1000 AS processing_p99_s,
    quantile_cont(delivery, 0.50) / 1000 AS delivery_p50_s,
    quantile_cont(delivery, 0.95) / 1000 AS delivery_p95_s,
    quantile_cont(delivery, 0.99) / 1000 AS delivery_p99_s
FROM spans
GROUP BY event_type;

-- What each provider delivers for its money. A miss is an answer; a call whose end nobody knows is neither.
CREATE OR REPLACE VIEW provider_performance AS
WITH counted AS (
    SELECT
        provider,
        purpose,
        count(*) AS calls,
        count(*) FILTER (outcome = 'hit') AS hits,
        count(*) FILTER (outcome = 'miss') AS misses,
        count(*) FILTER (outcome = 'error') AS errors,
        count(*) FILTER (outcome = 'unknown') AS unknown,
        sum(cost_usd) AS cost_usd,
        quantile_cont(latency_ms, 0.50) AS p50_ms,
        quantile_cont(latency_ms, 0.95) AS p95_ms,
        max(sent_at) AS last_call_at
    FROM provider_attempts
    GROUP BY provider, purpose
)
SELECT
    provider,
    purpose,
    calls,
    hits,
    misses,
    errors,
    unknown,
    (hits + misses) / nullif(hits + misses + errors, 0) AS success_rate,
    hits / nullif(hits + misses, 0) AS hit_rate,
    cost_usd,
    cost_usd::DOUBLE / nullif(hits, 0) AS cost_per_hit_usd,
    p50_ms,
    p95_ms,
    last_call_at
FROM counted;

-- For how many people and companies each field is known.
CREATE OR REPLACE VIEW field_coverage AS
WITH contact_counts AS (
    SELECT
        count(*) AS subjects,
        count(email) AS email,
        count(email_status) AS email_status,
        count(first_name) AS first_name,
        count(last_name) AS last_name,
        count(title) AS title,
        count(seniority) AS seniority,
        count(phone) AS phone,
        count(city) AS city,
        count(state) AS state,
        count(country) AS country,
        count(linkedin_url) AS linkedin_url,
        count(twitter_url) AS twitter_url
    FROM contacts
),
company_counts AS (
    SELECT
        count(*) AS subjects,
        count(company_name) AS company_name,
        count(company_domain) AS company_domain,
        count(industry) AS industry,
        count(employees) AS employees,
        count(annual_revenue) AS annual_revenue,
        count(company_phone) AS company_phone,
        count(founded_year) AS founded_year,
        count(company_city) AS company_city,
        count(company_state) AS company_state,
        count(company_country) AS company_country,
        count(company_linkedin_url) AS company_linkedin_url,
        count(tech_stack) AS tech_stack
    FROM companies
)
SELECT 'contact' AS level, field, subjects, filled, filled / nullif(subjects, 0) AS share
FROM (UNPIVOT contact_counts ON COLUMNS(* EXCLUDE (subjects)) INTO NAME field VALUE filled)
UNION ALL
SELECT 'company' AS level, field, subjects, filled, filled / nullif(subjects, 0) AS share
FROM (UNPIVOT company_counts ON COLUMNS(* EXCLUDE (subjects)) INTO NAME field VALUE filled);

-- Money per UTC day of the call, provider and event type.
CREATE OR REPLACE VIEW spend AS
SELECT
    (attempt.sent_at AT TIME ZONE 'UTC')::DATE AS day,
    attempt.provider,
    coalesce(event.event_type, 'not_projected') AS event_type,
    count(*) AS calls,
    count(*) FILTER (attempt.cost_usd > 0) AS charged_calls,
    sum(attempt.cost_usd) AS cost_usd
FROM provider_attempts AS attempt
LEFT JOIN events AS event ON event.work_id = attempt.event_id
GROUP BY ALL;
