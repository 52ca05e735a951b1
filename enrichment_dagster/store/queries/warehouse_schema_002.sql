-- Version 2: list fields and research, alternatives to the chosen value, hedged and late calls. Older rows hold NULL.

ALTER TABLE companies ADD COLUMN total_funding DOUBLE;              -- US dollars
ALTER TABLE companies ADD COLUMN funding_stage VARCHAR;
ALTER TABLE companies ADD COLUMN employee_growth DOUBLE;            -- in a year, as a share: 0.1 is ten per cent more
ALTER TABLE companies ADD COLUMN executives JSON;                   -- [{name, title, seniority, email, linkedin_url}]
ALTER TABLE companies ADD COLUMN account_contacts JSON;             -- the same
ALTER TABLE companies ADD COLUMN competitors VARCHAR[];
ALTER TABLE companies ADD COLUMN news JSON;                         -- [{title, url, published_at, category}]
ALTER TABLE companies ADD COLUMN intent_score DOUBLE;               -- 0 to 100
ALTER TABLE companies ADD COLUMN intent_topics VARCHAR[];
ALTER TABLE companies ADD COLUMN research_summary VARCHAR;
ALTER TABLE companies ADD COLUMN research_sources VARCHAR[];

ALTER TABLE field_values ADD COLUMN precedence INTEGER;             -- 0 = the CRM record, then the plan's order
ALTER TABLE field_values ADD COLUMN chosen BOOLEAN;                 -- false: an alternative; NULL counts as true
ALTER TABLE field_values ADD COLUMN stale BOOLEAN;                  -- an expired value, served as the refresh failed

ALTER TABLE provider_attempts ADD COLUMN role VARCHAR;              -- hedge, or empty
ALTER TABLE provider_attempts ADD COLUMN units INTEGER;             -- how many times the price was due

ALTER TABLE events ADD COLUMN steps JSON;                           -- what became of each lookup of the plan
