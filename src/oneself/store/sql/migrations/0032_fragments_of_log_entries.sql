-- Which fragment an entry belongs to, and when it made the person active, are columns of the log: a table of
-- its own cost a row and two entries of indexes for each event. Most entries are attached to the profile that
-- has the id of their fragment, so that `log_by_profile` finds them, and `log_by_fragment` has the others.
ALTER TABLE log ADD COLUMN fragment_id uuid, ADD COLUMN active_at bigint;
UPDATE log SET fragment_id = entry.fragment_id, active_at = entry.active_at
FROM fragment_entry AS entry
WHERE entry.dataset_id = log.dataset_id AND entry.seq = log.seq AND entry.observation_id = log.observation_id;
DROP TABLE fragment_entry;
CREATE INDEX log_by_fragment ON log (dataset_id, fragment_id, seq)
    WHERE fragment_id IS NOT NULL AND fragment_id IS DISTINCT FROM profile_id;
-- The entries by fragment. Each part reads its own index.
CREATE VIEW fragment_entry AS
SELECT dataset_id, profile_id AS fragment_id, seq, observation_id, active_at
FROM log WHERE profile_id IS NOT NULL AND fragment_id = profile_id
UNION ALL
SELECT dataset_id, fragment_id, seq, observation_id, active_at
FROM log WHERE fragment_id IS NOT NULL AND fragment_id IS DISTINCT FROM profile_id;
