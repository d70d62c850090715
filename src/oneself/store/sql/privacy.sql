-- name: put_tombstones
-- Remember digests ($2) of what was erased at $3.
INSERT INTO tombstone (dataset_id, digest, erased_at)
SELECT $1, digest, $3 FROM unnest($2::bytea[]) AS digest
ON CONFLICT (dataset_id, digest) DO UPDATE SET erased_at = greatest(tombstone.erased_at, excluded.erased_at);

-- name: find_tombstones
-- Which of these digests ($2) were erased, and when last.
SELECT digest, erased_at FROM tombstone WHERE dataset_id = $1 AND digest = ANY ($2::bytea[]);

-- name: find_receipts
-- The erasures of a dataset before a place ($2 seq), the last one first, $3 at most.
SELECT seq, observation_id, content::text
FROM log
WHERE dataset_id = $1 AND kind = 'erase' AND seq < $2
ORDER BY seq DESC
LIMIT $3;

-- name: find_receipt
-- One erasure by its receipt ($2).
SELECT seq, observation_id, content::text
FROM log
WHERE dataset_id = $1 AND kind = 'erase' AND observation_id = $2;

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
