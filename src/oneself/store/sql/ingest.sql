-- name: find_holder
-- The profile that holds an identifier ($2 namespace, $3 value): that of the oldest live claim.
SELECT claim.profile_id
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id AND NOT profile.erased
WHERE claim.dataset_id = $1 AND claim.namespace = $2 AND claim.value = $3 AND claim.until_seq IS NULL
ORDER BY claim.since, claim.profile_id
LIMIT 1;
