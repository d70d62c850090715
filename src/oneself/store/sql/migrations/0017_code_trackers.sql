-- The trackers that came with an authorize request (docs/wire/cds.md §14.2). They wait with the code, and are used when the
-- application redeems it: only then has it checked that the browser is the one that asked.

ALTER TABLE authorization_code ADD COLUMN trackers text[] NOT NULL DEFAULT '{}';
