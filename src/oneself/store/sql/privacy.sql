-- name: find_person_claims
-- Every identifier that these profiles ($2) ever held, the oldest first.
SELECT namespace, value, profile_id, seq, trust, at, until_seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY seq, namespace, value;

-- name: find_person_merges
-- How these profiles ($2) became one, in order.
SELECT absorbed_id, survivor_id, seq, reason, namespace, value, observation_id
FROM merge
WHERE dataset_id = $1 AND (absorbed_id = ANY ($2::uuid[]) OR survivor_id = ANY ($2::uuid[]))
ORDER BY seq, absorbed_id;

-- name: find_person_refusals
-- From whom these profiles ($2) were kept apart.
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times
FROM refusal
WHERE dataset_id = $1 AND (profile_id = ANY ($2::uuid[]) OR other_id = ANY ($2::uuid[]))
ORDER BY first_seq;

-- name: find_values_after
-- The values of the next survivors after an id ($2), $3 at most.
SELECT profile_id, record_values::text
FROM profile
WHERE dataset_id = $1 AND profile_id > $2 AND survivor_id IS NULL AND NOT erased
ORDER BY profile_id
LIMIT $3;
