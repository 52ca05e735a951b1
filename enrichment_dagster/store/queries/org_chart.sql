-- Who works at a company, by rank: people of whom we hold an edge, and those whom providers list as its executives or
-- contacts. Each person once: by address, and those without one by name. What the CRM and enrichments know comes first.
CREATE OR REPLACE VIEW org_chart AS
WITH names AS (
    -- Two addresses of one company (acme.de, acme.com) may have the same main domain.
    SELECT
        company_domain,
        max(company_name) AS company_name
    FROM companies
    GROUP BY company_domain
),
linked AS (
    SELECT
        coalesce(company.company_domain, substr(edge.company_key, length('domain:') + 1)) AS company_domain,
        nullif(trim(concat_ws(' ', contact.first_name, contact.last_name)), '') AS person,
        contact.title,
        contact.seniority,
        coalesce(contact.email, substr(edge.contact_key, length('email:') + 1)) AS email,
        contact.linkedin_url,
        CASE edge.kind WHEN 'associated' THEN 'crm' ELSE 'enrichment' END AS source,
        edge.since
    FROM contact_company AS edge
    LEFT JOIN contacts AS contact ON contact.subject_key = edge.contact_key
    LEFT JOIN companies AS company ON company.subject_key = edge.company_key
    WHERE edge.ended_at IS NULL AND starts_with(edge.company_key, 'domain:') AND starts_with(edge.contact_key, 'email:')
),
listed AS (
    SELECT
        company_domain,
        name AS person,
        title,
        seniority,
        email,
        linkedin_url,
        listed_in AS source,
        NULL::TIMESTAMPTZ AS since
    FROM account_people
),
everyone AS (
    SELECT * FROM linked
    UNION ALL BY NAME
    SELECT * FROM listed
),
known AS (
    SELECT
        * EXCLUDE (since),
        min(since) OVER (PARTITION BY company_domain, lower(email)) AS since,
        list_position(['crm', 'enrichment', 'executives', 'account_contacts'], source) AS place
    FROM everyone
),
by_address AS (
    SELECT *
    FROM known
    QUALIFY email IS NULL OR row_number() OVER (PARTITION BY company_domain, lower(email) ORDER BY place) = 1
),
by_name AS (
    SELECT *
    FROM by_address
    QUALIFY
        email IS NOT NULL
        OR row_number() OVER (PARTITION BY company_domain, lower(person) ORDER BY email IS NULL, place) = 1
)
SELECT
    by_name.company_domain,
    names.company_name,
    by_name.person,
    by_name.title,
    by_name.seniority,
    -- Providers' words for a rank: 1 leads the company, 99 is somebody whom nobody ranks.
    CASE
        WHEN by_name.seniority IN ('owner', 'founder') THEN 1
        WHEN by_name.seniority IN ('c_suite', 'cxo', 'executive') THEN 2
        WHEN by_name.seniority = 'partner' THEN 3
        WHEN by_name.seniority = 'vp' THEN 4
        WHEN by_name.seniority = 'head' THEN 5
        WHEN by_name.seniority = 'director' THEN 6
        WHEN by_name.seniority = 'manager' THEN 7
        WHEN by_name.seniority = 'senior' THEN 8
        WHEN by_name.seniority = 'entry' THEN 9
        WHEN by_name.seniority IN ('intern', 'training', 'unpaid') THEN 10
        ELSE 99
    END AS rank,
    by_name.email,
    by_name.linkedin_url,
    by_name.source,
    by_name.since
FROM by_name
LEFT JOIN names USING (company_domain)
ORDER BY by_name.company_domain, rank, by_name.person;
