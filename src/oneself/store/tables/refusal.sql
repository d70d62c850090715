-- The table `refusal`: merges and claims that were indicated and must not happen, counted for each pair.

-- name: put
-- Insert refusals, or count those that are known.
-- $2: codes
-- $3: profiles
-- $4: other profiles
-- $5: namespaces
-- $6: first seqs
-- $7: last seqs
-- $8: counts
INSERT INTO refusal (dataset_id, code, profile_id, other_id, namespace, first_seq, last_seq, times)
SELECT $1, row.*
FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[]) AS row
ON CONFLICT (dataset_id, profile_id, other_id, code, namespace) DO UPDATE
SET last_seq = excluded.last_seq, times = refusal.times + excluded.times;

-- name: find_of_profiles
-- The refusals that concern profiles, the oldest first.
-- $2: profile ids
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times
FROM refusal
WHERE dataset_id = $1 AND (profile_id = ANY ($2::uuid[]) OR other_id = ANY ($2::uuid[]))
ORDER BY first_seq;

-- name: delete_of_profiles
-- Delete the refusals that are recorded against profiles.
-- $2: profile ids
DELETE FROM refusal WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: list
-- A page of refusals, the latest first.
-- $2: seq of the position before which the page begins
-- $3: profile of that position
-- $4: other profile of that position
-- $5: kind of that position
-- $6: rows at most
-- $7: code; null for any
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times, kind
FROM refusal
CROSS JOIN LATERAL hashtextextended(code || '/' || namespace, 0) AS kind
WHERE dataset_id = $1 AND (last_seq, profile_id, other_id, kind) < ($2, $3, $4, $5)
  AND ($7::text IS NULL OR code = $7)
ORDER BY last_seq DESC, profile_id DESC, other_id DESC, kind DESC
LIMIT $6;

-- name: count
-- How often each code occurred.
SELECT code, sum(times)::bigint AS times FROM refusal WHERE dataset_id = $1 GROUP BY code ORDER BY code;
