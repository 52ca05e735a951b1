-- Views for people. Replaced whenever this file changes (see warehouse_schema.py).

-- How long events take, in seconds, by stage. Follow-ups are left out: they start long after their event; so is what a rule
-- ended without a run: it ends as it comes.
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
    WHERE kind = 'event' AND (outcome IS DISTINCT FROM 'skipped' OR run_id <> '')
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

-- What each provider delivers for its money. A miss is an answer; a call whose end nobody knows is neither. An answer that
-- the provider gave later counts once it has come: calls under way are not in the table. A call that the kill switch kept
-- back was never sent.
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
    WHERE reason IS DISTINCT FROM 'spending_stopped'
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
    round(cost_usd::DOUBLE / nullif(hits, 0), 6) AS cost_per_hit_usd,
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
        count(tech_stack) AS tech_stack,
        count(total_funding) AS total_funding,
        count(funding_stage) AS funding_stage,
        count(employee_growth) AS employee_growth,
        count(executives) AS executives,
        count(account_contacts) AS account_contacts,
        count(competitors) AS competitors,
        count(news) AS news,
        count(intent_score) AS intent_score,
        count(intent_topics) AS intent_topics,
        count(research_summary) AS research_summary,
        count(research_sources) AS research_sources
    FROM companies
)
SELECT 'contact' AS level, field, subjects, filled, filled / nullif(subjects, 0) AS share
FROM (UNPIVOT contact_counts ON COLUMNS(* EXCLUDE (subjects)) INTO NAME field VALUE filled)
UNION ALL
SELECT 'company' AS level, field, subjects, filled, filled / nullif(subjects, 0) AS share
FROM (UNPIVOT company_counts ON COLUMNS(* EXCLUDE (subjects)) INTO NAME field VALUE filled);

-- Money per UTC day of the call, provider, purpose and event type. A hedge is a second call because the first was slow.
CREATE OR REPLACE VIEW spend AS
SELECT
    (attempt.sent_at AT TIME ZONE 'UTC')::DATE AS day,
    attempt.provider,
    attempt.purpose,
    coalesce(event.event_type, 'not_projected') AS event_type,
    count(*) AS calls,
    count(*) FILTER (attempt.outcome = 'hit') AS hits,
    count(*) FILTER (attempt.cost_usd > 0) AS charged_calls,
    count(*) FILTER (attempt.role = 'hedge') AS hedge_calls,
    sum(attempt.cost_usd) AS cost_usd,
    coalesce(sum(attempt.cost_usd) FILTER (attempt.role = 'hedge'), 0) AS hedge_cost_usd,
    round(sum(attempt.cost_usd)::DOUBLE / nullif(count(*) FILTER (attempt.outcome = 'hit'), 0), 6) AS cost_per_hit_usd
FROM provider_attempts AS attempt
LEFT JOIN events AS event ON event.work_id = attempt.event_id
WHERE attempt.reason IS DISTINCT FROM 'spending_stopped'
GROUP BY ALL;

-- What other providers said of a field than the value that contacts or companies show: the last word of each.
CREATE OR REPLACE VIEW field_alternatives AS
WITH origins AS (
    SELECT subject.subject_key, origin.key AS field, origin.value AS provenance
    FROM (
        SELECT subject_key, provenance FROM contacts
        UNION ALL
        SELECT subject_key, provenance FROM companies
    ) AS subject,
        json_each(subject.provenance) AS origin
),
best AS (
    SELECT best.*
    FROM origins
    INNER JOIN field_values AS best
        ON
            best.subject_key = origins.subject_key
            AND best.field = origins.field
            AND best.provider = (origins.provenance ->> '$.provider')
            AND best.event_id = (origins.provenance ->> '$.event_id')
            AND best.fetched_at = (origins.provenance ->> '$.fetched_at')::TIMESTAMPTZ
    WHERE coalesce(best.chosen, true)
    QUALIFY row_number() OVER (PARTITION BY best.subject_key, best.field ORDER BY best.value_id DESC) = 1
),
others AS (
    SELECT *
    FROM field_values
    WHERE NOT coalesce(chosen, true)
    QUALIFY row_number() OVER (
        PARTITION BY subject_key, field, provider ORDER BY fetched_at DESC, value_id DESC
    ) = 1
)
SELECT
    best.subject_key,
    best.field,
    best.value_text AS chosen_value,
    best.provider AS chosen_provider,
    best.confidence AS chosen_confidence,
    others.value_text AS alternative_value,
    others.provider AS alternative_provider,
    others.confidence AS alternative_confidence,
    others.fetched_at AS alternative_fetched_at
FROM best
INNER JOIN others USING (subject_key, field)
WHERE others.provider <> best.provider AND others.value_text <> best.value_text;

-- The people whom companies list: who leads an account, and whom to talk to there.
CREATE OR REPLACE VIEW account_people AS
WITH listed AS (
    SELECT company_domain, 'executives' AS listed_in, executives AS people FROM companies
    UNION ALL
    SELECT company_domain, 'account_contacts' AS listed_in, account_contacts AS people FROM companies
),
each_person AS (
    SELECT
        company_domain,
        listed_in,
        unnest(from_json(people, '[{
            "name": "VARCHAR", "title": "VARCHAR", "seniority": "VARCHAR", "email": "VARCHAR", "linkedin_url": "VARCHAR"
        }]')) AS person
    FROM listed
)
SELECT
    company_domain,
    person.name AS name,
    person.title AS title,
    person.seniority AS seniority,
    person.email AS email,
    person.linkedin_url AS linkedin_url,
    listed_in
FROM each_person;

-- Loops that did not happen, per UTC day and event type: events that our own writes caused, and what as many enriched
-- events of that type cost. Types that are never enriched save nothing.
CREATE OR REPLACE VIEW loops AS
WITH costs AS (
    SELECT
        event_type,
        sum(cost_usd)::DOUBLE
        / nullif(count(*) FILTER (kind = 'event' AND outcome IN ('enriched', 'partial')), 0) AS average_usd
    FROM events
    WHERE event_type <> 'unsupported'
    GROUP BY event_type
)
SELECT
    events.day,
    events.event_type,
    count(*) FILTER (events.reason = 'own_write') AS own_writes,
    count(*) FILTER (events.reason = 'causality_depth') AS second_in_a_row,
    count(DISTINCT (events.subject_system, events.subject_type, events.subject_id)) AS records,
    count(*) * coalesce(any_value(costs.average_usd), 0) AS saved_usd
FROM events
LEFT JOIN costs USING (event_type)
WHERE events.kind = 'event' AND events.reason IN ('own_write', 'causality_depth')
GROUP BY ALL;
