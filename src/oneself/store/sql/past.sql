-- name: list_claims
-- Every identifier that these profiles ($2) ever held, the oldest first: at most $7 after a place ($3 seq, $4 namespace, $5 value, $6 profile).
SELECT namespace, value, profile_id, seq, trust, at, until_seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
  AND (seq, namespace, value, profile_id) > ($3, $4, $5, $6)
ORDER BY seq, namespace, value, profile_id
LIMIT $7;
