-- Version 4: an edge for each person and company, by whose word it is. Older rows came from enrichments.

ALTER TABLE contact_company RENAME TO contact_company_003;

CREATE TABLE contact_company (
    contact_key VARCHAR NOT NULL,       -- email:<address>, or record:<CRM's record> where no address is known
    company_key VARCHAR NOT NULL,       -- domain:<domain>, or record:<CRM's record>
    kind VARCHAR NOT NULL,              -- associated (the CRM links the records), employed (an enrichment found it)
    system VARCHAR NOT NULL,            -- the CRM of an association; else empty
    contact_record VARCHAR NOT NULL,    -- hubspot:contact:1246978; empty where there is none
    company_record VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,               -- the person was seen to work elsewhere
    last_event_id VARCHAR NOT NULL
);

INSERT INTO contact_company BY NAME
SELECT
    contact_key,
    company_key,
    'employed' AS kind,
    '' AS system,
    '' AS contact_record,
    '' AS company_record,
    since,
    last_seen_at,
    last_event_id
FROM contact_company_003;

DROP TABLE contact_company_003;
