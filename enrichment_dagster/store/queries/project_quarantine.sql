-- Append-only: the first sighting of a bad value or row stays.
INSERT INTO quarantine BY NAME
SELECT *
FROM incoming
WHERE quarantine_key NOT IN (SELECT quarantine_key FROM quarantine);
