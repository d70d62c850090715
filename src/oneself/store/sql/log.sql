-- name: put_change
-- Append a change of configuration to the log ($2 seq, $3 observation, $4 version, $5 content).
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
VALUES ($1, $2, $3, 'configure', $4, $5::text::jsonb);

-- name: find_entries
-- The next entries ($4 at most) of a dataset's log after a place ($2 seq, $3 observation), in order.
SELECT seq, observation_id, profile_id, kind, config_version, content::text, plan::text, redacted
FROM log
WHERE dataset_id = $1 AND (seq, observation_id) > ($2, $3)
ORDER BY seq, observation_id
LIMIT $4;

-- name: find_person_entries
-- Everything in the log that is attached to these profiles ($2), in order.
SELECT seq, observation_id, profile_id, kind, config_version, content::text, plan::text, redacted
FROM log
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY seq, observation_id;

-- name: find_changes
-- Every change of configuration in the log, in order.
SELECT seq, observation_id, profile_id, kind, config_version, content::text, plan::text, redacted
FROM log
WHERE dataset_id = $1 AND kind = 'configure'
ORDER BY seq, observation_id;
