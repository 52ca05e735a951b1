-- One row per upgrade of the warehouse; the newest counts.
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER NOT NULL,
    digest VARCHAR NOT NULL,            -- of options and views
    applied_at TIMESTAMPTZ NOT NULL
);
