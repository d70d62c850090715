-- What an entry names and the configuration of its time drops, a later one may admit. The entry is read by both from
-- then on.

ALTER TABLE log ADD COLUMN admitted_by bigint[]; -- versions of the configuration; null: none admits more
-- The few entries of which something was dropped.
CREATE INDEX log_of_dropped ON log (dataset_id, seq, observation_id) WHERE plan ? 'dropped';
-- Those that the view `all` has not read yet by what admits more of them.
CREATE INDEX log_of_unread ON log (dataset_id, profile_id) WHERE admitted_by IS NOT NULL AND plan ? 'dropped';
