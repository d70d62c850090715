-- The table `skipped_claim`: reported claim values that were rejected, counted by attribute and problem.

-- name: put
-- Add to the counts.
-- $2: paths
-- $3: problems
-- $4: how often each
INSERT INTO skipped_claim (dataset_id, path, problem, times, first_at, last_at)
SELECT $1, path, problem, times, now(), now()
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS skipped (path, problem, times)
ORDER BY path, problem
ON CONFLICT (dataset_id, path, problem) DO UPDATE
SET times = skipped_claim.times + excluded.times, last_at = now();

-- name: list
-- Every count, the latest first.
SELECT path, problem, times, first_at, last_at
FROM skipped_claim
WHERE dataset_id = $1
ORDER BY last_at DESC, path;
