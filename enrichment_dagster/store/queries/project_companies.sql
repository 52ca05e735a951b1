SELECT
    subject_key,
    max(value_text) FILTER (field = 'company_name') AS company_name,
    -- The key is the domain; a value that says otherwise (the company's main domain) wins.
    coalesce(
        max(value_text) FILTER (field = 'company_domain'), substr(subject_key, length('domain:') + 1)
    ) AS company_domain,
    max(value_text) FILTER (field = 'industry') AS industry,
    try_cast(max(value_text) FILTER (field = 'employees') AS BIGINT) AS employees,
    try_cast(max(value_text) FILTER (field = 'annual_revenue') AS DOUBLE) AS annual_revenue,
    max(value_text) FILTER (field = 'company_phone') AS company_phone,
    try_cast(max(value_text) FILTER (field = 'founded_year') AS BIGINT) AS founded_year,
    max(value_text) FILTER (field = 'company_city') AS company_city,
    max(value_text) FILTER (field = 'company_state') AS company_state,
    max(value_text) FILTER (field = 'company_country') AS company_country,
    max(value_text) FILTER (field = 'company_linkedin_url') AS company_linkedin_url,
    from_json(any_value(value) FILTER (field = 'tech_stack'), '["VARCHAR"]') AS tech_stack,
    try_cast(max(value_text) FILTER (field = 'total_funding') AS DOUBLE) AS total_funding,
    max(value_text) FILTER (field = 'funding_stage') AS funding_stage,
    try_cast(max(value_text) FILTER (field = 'employee_growth') AS DOUBLE) AS employee_growth,
    any_value(value) FILTER (field = 'executives') AS executives,
    any_value(value) FILTER (field = 'account_contacts') AS account_contacts,
    from_json(any_value(value) FILTER (field = 'competitors'), '["VARCHAR"]') AS competitors,
    any_value(value) FILTER (field = 'news') AS news,
    try_cast(max(value_text) FILTER (field = 'intent_score') AS DOUBLE) AS intent_score,
    from_json(any_value(value) FILTER (field = 'intent_topics'), '["VARCHAR"]') AS intent_topics,
    max(value_text) FILTER (field = 'research_summary') AS research_summary,
    from_json(any_value(value) FILTER (field = 'research_sources'), '["VARCHAR"]') AS research_sources,
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
WHERE starts_with(subject_key, 'domain:')
GROUP BY subject_key;
