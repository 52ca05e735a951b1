-- Version 3: what our own writes caused. Older rows hold NULL.

ALTER TABLE events ADD COLUMN caused_by VARCHAR;                    -- the event whose write to the record led to it
ALTER TABLE events ADD COLUMN depth INTEGER;                        -- how many such steps lie behind it
