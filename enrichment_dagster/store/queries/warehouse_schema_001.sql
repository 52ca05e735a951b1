-- Version 1 of the warehouse. DuckLake knows NOT NULL only; keys are kept by the projector's MERGE statements.

-- One row per piece of work: an event (work_id = event_id) or a follow-up of it.
CREATE TABLE events (
    work_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,              -- event, gap_fill
    event_type VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,              -- routing, standard
    subject_system VARCHAR NOT NULL,
    subject_type VARCHAR NOT NULL,
    subject_id VARCHAR NOT NULL,
    sender_event_id VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,   -- the sender's clock
    received_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    delivered_at TIMESTAMPTZ,           -- the CRM confirmed
    state VARCHAR NOT NULL,             -- due, assigned, done
    outcome VARCHAR,                    -- enriched, partial, unchanged, skipped, failed, dead
    reason VARCHAR NOT NULL,
    missing JSON NOT NULL,              -- {field: why it has no value}
    cost_usd DECIMAL(18, 6) NOT NULL,
    run_id VARCHAR NOT NULL,
    batch_id VARCHAR,
    tries BIGINT NOT NULL,
    day DATE NOT NULL                   -- UTC day of receipt
);

-- One row per value of one field of one subject from one provider: the ledger, never changed after it is written.
CREATE TABLE field_values (
    value_id BIGINT NOT NULL,
    work_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    subject_key VARCHAR NOT NULL,       -- email:<address> or domain:<domain>
    field VARCHAR NOT NULL,
    value JSON NOT NULL,
    value_text VARCHAR NOT NULL,        -- the value as plain text; tags joined by "; "
    provider VARCHAR NOT NULL,
    confidence DOUBLE NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL,
    verified_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ,
    cost_usd DECIMAL(18, 6) NOT NULL,
    request_id VARCHAR NOT NULL
);

-- One row per person: the best current value of each field.
CREATE TABLE contacts (
    subject_key VARCHAR NOT NULL,
    email VARCHAR,
    email_status VARCHAR,
    first_name VARCHAR,
    last_name VARCHAR,
    title VARCHAR,
    seniority VARCHAR,
    phone VARCHAR,
    city VARCHAR,
    state VARCHAR,
    country VARCHAR,
    linkedin_url VARCHAR,
    twitter_url VARCHAR,
    company_domain VARCHAR,             -- of the company seen last with this person
    provenance JSON NOT NULL,           -- {field: {provider, fetched_at, confidence, cost_usd, event_id}}
    first_seen_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- One row per company: the best current value of each field.
CREATE TABLE companies (
    subject_key VARCHAR NOT NULL,
    company_name VARCHAR,
    company_domain VARCHAR,
    industry VARCHAR,
    employees BIGINT,
    annual_revenue DOUBLE,
    company_phone VARCHAR,
    founded_year BIGINT,
    company_city VARCHAR,
    company_state VARCHAR,
    company_country VARCHAR,
    company_linkedin_url VARCHAR,
    tech_stack VARCHAR[],
    provenance JSON NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- One row per person and company that were seen in the same piece of work.
CREATE TABLE contact_company (
    contact_key VARCHAR NOT NULL,
    company_key VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    last_event_id VARCHAR NOT NULL,
    last_value_id BIGINT NOT NULL       -- the order in which links were seen
);

-- One row per paid call that has ended.
CREATE TABLE provider_attempts (
    attempt_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    purpose VARCHAR NOT NULL,
    subject_key VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,           -- hit, miss, error, unknown
    reason VARCHAR NOT NULL,
    http_status BIGINT,
    request_id VARCHAR NOT NULL,
    cost_usd DECIMAL(18, 6) NOT NULL,
    latency_ms BIGINT,
    sent_at TIMESTAMPTZ NOT NULL,
    settled_at TIMESTAMPTZ
);

-- One row per delivery to one CRM record.
CREATE TABLE crm_writes (
    outbox_id VARCHAR NOT NULL,
    work_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    system VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,            -- written, already_there, rejected
    written JSON NOT NULL,              -- {property: value}
    kept JSON NOT NULL,                 -- {property: why ours was not written}
    reason VARCHAR NOT NULL,
    written_at TIMESTAMPTZ NOT NULL
);

-- One row per value that was not stored as data, and per row that could not enter its table.
CREATE TABLE quarantine (
    quarantine_key VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,            -- "value", or the table that refused a row
    work_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    field VARCHAR NOT NULL,
    raw VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- One row per piece of work that was given up.
CREATE TABLE dead_letters (
    work_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    component VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- How far the projector has copied; the row with the highest seq counts. Append-only, like every inlined table.
CREATE TABLE projection_watermark (
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    projected_at TIMESTAMPTZ NOT NULL
);
