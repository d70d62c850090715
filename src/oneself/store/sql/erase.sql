-- name: find_erased_entries
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

-- name: find_profile_claims
-- Every claim that these profiles ($2) ever held.
SELECT namespace, value, profile_id, seq, trust, until_seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: delete_entries
-- Take what is attached to these profiles ($2) out of the log.
DELETE FROM log WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: delete_claims
-- Forget every claim of these profiles ($2).
DELETE FROM claim WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: delete_merges
-- Forget how these profiles ($2) were joined.
DELETE FROM merge WHERE dataset_id = $1 AND (absorbed_id = ANY ($2::uuid[]) OR survivor_id = ANY ($2::uuid[]));

-- name: delete_refusals
-- Forget the refusals that concern these profiles ($2).
DELETE FROM refusal WHERE dataset_id = $1 AND (profile_id = ANY ($2::uuid[]) OR other_id = ANY ($2::uuid[]));

-- name: delete_own_refusals
-- Forget the refusals that these profiles ($2) caused.
DELETE FROM refusal WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: blank_answers
-- Keep that requests about these profiles ($2) were answered, but not what was said.
UPDATE answer SET fingerprint = '', status = NULL, headers = NULL, body = NULL
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: put_redactions
-- Replace the content ($4) and plan ($5) of entries ($2 seqs, $3 observations) by what may stay.
UPDATE log SET content = row.content::jsonb, plan = row.plan::jsonb, name = NULL, redacted = true
FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[]) AS row (seq, observation_id, content, plan)
WHERE log.dataset_id = $1 AND log.seq = row.seq AND log.observation_id = row.observation_id;

-- name: put_erasure
-- Append an erasure to the log ($2 seq, $3 observation, $4 version, $5 content).
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
VALUES ($1, $2, $3, 'erase', $4, $5::text::jsonb);
