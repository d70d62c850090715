-- name: begin_preview
-- A table of this connection alone: which profile holds which value, by hash.
CREATE TEMP TABLE holding (hash bigint NOT NULL, profile_id uuid NOT NULL);

-- name: find_holders
-- Every survivor that holds a value under a key ($2 scope, $3 key), in the order of indexing.
SELECT profile_id, jsonb_build_object($2::text, jsonb_build_object($3::text, record_values -> $2 -> $3))::text
       AS record_values,
       jsonb_strip_nulls(jsonb_build_object($2::text || '.' || $3::text, provenance -> ($2 || '.' || $3)))::text
       AS provenance
FROM profile
WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased AND (record_values -> $2) ? $3
ORDER BY profile_id;

-- name: find_sharing
-- The profiles that hold a value which another one holds too. One sort, no join: with a million holders a join of
-- the table with itself would walk through it a million times.
SELECT DISTINCT profile_id
FROM (SELECT profile_id, count(*) OVER (PARTITION BY hash) AS holders FROM holding) AS held
WHERE holders > 1;

-- name: find_joined
-- The survivors whose people were joined by a namespace ($2).
SELECT DISTINCT coalesce(profile.survivor_id, profile.profile_id) AS survivor_id
FROM merge
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = merge.absorbed_id AND NOT profile.erased
WHERE merge.dataset_id = $1 AND merge.namespace = $2;

-- name: find_person
-- Every profile of one person ($2, the survivor).
SELECT profile_id FROM profile
WHERE dataset_id = $1 AND (profile_id = $2 OR survivor_id = $2);

-- name: find_former
-- Who was named how by user ids ($2, their namespace) where identities were not resolved.
SELECT coalesce(profile.survivor_id, profile.profile_id) AS profile_id, claim.value
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id AND NOT profile.erased
WHERE claim.dataset_id = $1 AND claim.namespace = $2 AND claim.until_seq IS NULL;
