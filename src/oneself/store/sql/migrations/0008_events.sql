-- What the event wire needs to know of people (wire/interactions §3, §7, §9): the visit that a profile's last
-- activity belongs to and those before it, what a person owns, the primary ids that it had before, and when what a claim rests on happened.
-- A deployment from before writes them for its old profiles with `oneself rebuild`.

ALTER TABLE profile ADD COLUMN visit_at timestamptz;
UPDATE profile SET visit_at = active_at;
ALTER TABLE profile ALTER COLUMN visit_at SET NOT NULL;
ALTER TABLE profile ADD COLUMN visits jsonb NOT NULL DEFAULT '[]';
ALTER TABLE profile ADD COLUMN first_active_at timestamptz;
UPDATE profile SET first_active_at = created_at;
ALTER TABLE profile ALTER COLUMN first_active_at SET NOT NULL;
ALTER TABLE profile ADD COLUMN objects jsonb NOT NULL DEFAULT '{}';
ALTER TABLE profile ADD COLUMN aliases jsonb NOT NULL DEFAULT '[]';

ALTER TABLE claim ADD COLUMN at bigint;
UPDATE claim SET at = seq;
ALTER TABLE claim ALTER COLUMN at SET NOT NULL;
