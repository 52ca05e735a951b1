-- People and companies meet in a piece of work: its values carry the keys of both. Arrives complete, under one rev.
-- Alternatives do not count: a provider that was not believed may have meant another company.
SELECT
    person.subject_key AS contact_key,
    company.subject_key AS company_key,
    min(least(person.fetched_at, company.fetched_at)) AS since,
    max(greatest(person.fetched_at, company.fetched_at)) AS last_seen_at,
    arg_max(person.event_id, person.value_id) AS last_event_id,
    max(person.value_id) AS last_value_id
FROM incoming_values AS person
INNER JOIN incoming_values AS company USING (work_id)
WHERE
    starts_with(person.subject_key, 'email:')
    AND starts_with(company.subject_key, 'domain:')
    AND person.chosen
    AND company.chosen
GROUP BY ALL;
