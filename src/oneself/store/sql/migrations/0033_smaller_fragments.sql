-- The state of a fragment leaves out what is empty. Most fragments are attached to the profile that has their id,
-- so that the key finds them.
UPDATE fragment SET state = (
    SELECT coalesce(jsonb_object_agg(key, value), '{}')
    FROM jsonb_each(state)
    WHERE value NOT IN ('[]', 'null') AND key NOT IN ('record', 'seq')
);
DROP INDEX fragment_by_believed;
CREATE INDEX fragment_by_believed ON fragment (dataset_id, believed_id) WHERE believed_id <> fragment_id;
