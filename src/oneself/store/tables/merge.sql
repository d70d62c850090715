-- The table `merge`: every merge that was carried out, and why.

-- name: put
-- Insert merges.
-- $2: absorbed profiles
-- $3: seqs
-- $4: survivors
-- $5: reasons
-- $6: namespaces
-- $7: values
-- $8: observations
INSERT INTO merge (dataset_id, absorbed_id, seq, survivor_id, reason, namespace, value, observation_id)
SELECT $1, row.*
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::uuid[]) AS row;

-- name: find_of_profiles
-- The merges of profiles, in order.
-- $2: profile ids
SELECT absorbed_id, survivor_id, seq, reason, namespace, value, observation_id
FROM merge
WHERE dataset_id = $1 AND (absorbed_id = ANY ($2::uuid[]) OR survivor_id = ANY ($2::uuid[]))
ORDER BY seq, absorbed_id;

-- name: find_survivors_by_namespace
-- The survivors that have a merge which an identifier of a namespace caused.
-- $2: namespace
SELECT DISTINCT coalesce(profile.survivor_id, profile.profile_id) AS survivor_id
FROM merge
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = merge.absorbed_id AND NOT profile.erased
WHERE merge.dataset_id = $1 AND merge.namespace = $2;

-- name: delete
-- Delete merges.
-- $2: absorbed profiles
-- $3: seqs
DELETE FROM merge USING unnest($2::uuid[], $3::bigint[]) AS row (absorbed_id, seq)
WHERE merge.dataset_id = $1 AND merge.absorbed_id = row.absorbed_id AND merge.seq = row.seq;

-- name: delete_of_profiles
-- Delete the merges of profiles.
-- $2: profile ids
DELETE FROM merge
WHERE dataset_id = $1 AND (absorbed_id = ANY ($2::uuid[]) OR survivor_id = ANY ($2::uuid[]));
