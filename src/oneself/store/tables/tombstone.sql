-- The table `tombstone`: keyed digests of the identifiers of erased people.

-- name: put
-- Remember digests.
-- $2: digests
-- $3: when they were erased
INSERT INTO tombstone (dataset_id, digest, erased_at)
SELECT $1, digest, $3 FROM unnest($2::bytea[]) AS digest
ON CONFLICT (dataset_id, digest) DO UPDATE
SET erased_at = greatest(tombstone.erased_at, excluded.erased_at);

-- name: find
-- Which of these digests are known, and when they were erased last.
-- $2: digests
SELECT digest, erased_at FROM tombstone WHERE dataset_id = $1 AND digest = ANY ($2::bytea[]);
