-- name: find_profile_claims
-- Every claim that these profiles ($2) ever held.
SELECT namespace, value, profile_id, seq, trust, at, until_seq
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
-- Forget the refusals that these profiles ($2) met.
DELETE FROM refusal WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: blank_answers
-- Keep that requests about these profiles ($2) were answered, but not what was said.
UPDATE answer SET fingerprint = '', status = NULL, headers = NULL, body = NULL
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: put_redaction
-- Replace the content ($4) and plan ($5) of an entry ($2 seq, $3 observation) by what may stay, with the survivor ($6) and the event's name ($7).
UPDATE log SET profile_id = $6, content = $4::text::jsonb, plan = $5::text::jsonb, name = $7, redacted = true
WHERE dataset_id = $1 AND seq = $2 AND observation_id = $3;

-- name: pin_refusals
-- Entries of people who were kept apart from one of these profiles ($2) are not judged again: their plan stands.
WITH person AS (
    SELECT DISTINCT coalesce(kept_apart.survivor_id, kept_apart.profile_id) AS survivor_id
    FROM refusal JOIN profile AS kept_apart USING (dataset_id, profile_id)
    WHERE refusal.dataset_id = $1 AND refusal.other_id = ANY ($2::uuid[]) AND refusal.profile_id <> ALL ($2::uuid[])
)
UPDATE log SET redacted = true
WHERE dataset_id = $1
  AND profile_id IN (SELECT survivor_id FROM person
                     UNION ALL
                     SELECT profile.profile_id FROM person JOIN profile USING (survivor_id) WHERE dataset_id = $1)
  AND EXISTS (SELECT FROM jsonb_array_elements(plan -> 'refusals') AS refused
              WHERE (refused ->> 'other_id')::uuid = ANY ($2::uuid[]));

-- name: find_browser_claims
-- Every claim that anybody ever had on these browsers ($2 namespaces, $3 values), the oldest first.
SELECT namespace, value, profile_id, seq, trust, at, until_seq
FROM claim
WHERE dataset_id = $1
  AND (namespace, value) IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY namespace, value, seq, profile_id;

-- name: put_until
-- A claim ($2 namespace, $3 value, $4 profile, $5 seq) ended at $6; null: it did not.
UPDATE claim SET until_seq = $6
WHERE dataset_id = $1 AND namespace = $2 AND value = $3 AND profile_id = $4 AND seq = $5;

-- name: pin_entry
-- An entry ($2 seq) of a profile ($3) is not judged again: its plan stands.
UPDATE log SET redacted = true WHERE dataset_id = $1 AND seq = $2 AND profile_id = $3;

-- name: put_erasure
-- Append an erasure to the log ($2 seq, $3 observation, $4 version, $5 content).
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
VALUES ($1, $2, $3, 'erase', $4, $5::text::jsonb);
