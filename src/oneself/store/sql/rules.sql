-- name: find_refusals
-- The refusals of a dataset before a place ($2 seq, $3 profile, $4 other, $5 kind), the latest first, $6 at most; of code $7 if given.
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times, kind
FROM refusal
CROSS JOIN LATERAL hashtextextended(code || '/' || namespace, 0) AS kind
WHERE dataset_id = $1 AND (last_seq, profile_id, other_id, kind) < ($2, $3, $4, $5) AND ($7::text IS NULL OR code = $7)
ORDER BY last_seq DESC, profile_id DESC, other_id DESC, kind DESC
LIMIT $6;

-- name: count_refusals
-- How often each kind of refusal was met.
SELECT code, count(*) AS pairs, sum(times)::bigint AS times FROM refusal WHERE dataset_id = $1 GROUP BY code ORDER BY code;
