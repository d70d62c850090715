-- The table `profile`: one row per profile ever made; an absorbed one points at its survivor.

-- name: find
-- Profiles by id, erased and absorbed ones included.
-- $2: profile ids
SELECT {profile_columns}
FROM profile
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: find_survivors
-- The survivors of profiles, erased and absorbed ones included.
-- $2: profile ids
SELECT profile_id, coalesce(survivor_id, profile_id) AS survivor_id
FROM profile
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: lock_survivors
-- Lock those of some profiles that nobody has absorbed, in the order of their ids.
-- $2: profile ids
SELECT FROM profile
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND survivor_id IS NULL
ORDER BY profile_id
FOR UPDATE;

-- name: lock_holders
-- The profiles that hold identifiers now, or that tokens name, and others, locked in the order of their ids;
-- then what led to them: the live claims, and the profiles that tokens name.
-- $2: namespaces
-- $3: values
-- $4: smallest profile ids
-- $5: largest profile ids
-- $6: ids of other profiles
WITH live AS MATERIALIZED ({live_claims}), locked AS (
    SELECT * FROM profile
    WHERE dataset_id = $1 AND profile_id = ANY (ARRAY (SELECT survivor_id FROM live) || $6::uuid[])
    ORDER BY profile_id
    FOR UPDATE
)
SELECT {profile_columns}, NULL AS namespace, NULL AS value, NULL AS trust, NULL::bigint AS at,
       NULL::bigint AS since, NULL::bigint AS survivor_seq
FROM locked
UNION ALL
SELECT {claim_as_profile}, claim.namespace, claim.value, claim.trust, claim.at, claim.since,
       claim.survivor_seq
FROM live AS claim
CROSS JOIN LATERAL (SELECT claim.survivor_id) AS pointer;

-- name: find_members
-- The profiles that survivors have absorbed, in the order of the merges.
-- $2: survivors
SELECT survivor_id, profile_id, reason, seq
FROM profile
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]) AND NOT erased
ORDER BY survivor_id, seq, profile_id;

-- name: find_unified
-- The survivor of a profile and every profile that it absorbed, in one read.
-- $2: profile id
-- Two look-ups instead of one with OR: without statistics, that one would scan the whole dataset.
WITH asked AS (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id
    FROM profile WHERE dataset_id = $1 AND profile_id = $2 AND NOT erased
)
SELECT {profile_columns}
FROM profile
WHERE dataset_id = $1 AND profile_id = (SELECT survivor_id FROM asked) AND NOT erased
UNION ALL
SELECT {absorbed_profile_columns}
FROM profile
WHERE dataset_id = $1 AND survivor_id = (SELECT survivor_id FROM asked) AND NOT erased;

-- name: put
-- Insert or replace profiles; all columns as arrays.
-- $2 to $20: one array per column of store/fragments.py
INSERT INTO profile (dataset_id, {profile_names})
SELECT $1, {profile_values}
FROM unnest({profile_arrays}) AS row ({profile_names})
ON CONFLICT (dataset_id, profile_id) DO UPDATE SET {profile_assignments};

-- name: put_activity
-- Update profiles of which nothing but the activity has changed.
-- $2: profile ids, sorted
-- $3: last activity
-- $4: seqs
-- $5: begin of the current visit
-- Avoids a join that the planner might get wrong: width_bucket gives the array index of an id.
UPDATE profile
SET active_at = ($3::timestamptz[])[width_bucket(profile_id, $2::uuid[])],
    seq = ($4::bigint[])[width_bucket(profile_id, $2::uuid[])],
    visit_at = ($5::timestamptz[])[width_bucket(profile_id, $2::uuid[])]
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: put_sources
-- The same for profiles of which the sources of values have changed as well.
-- $2: profile ids, sorted
-- $3: last activity
-- $4: seqs
-- $5: begin of the current visit
-- $6: sources of values
UPDATE profile
SET active_at = ($3::timestamptz[])[width_bucket(profile_id, $2::uuid[])],
    seq = ($4::bigint[])[width_bucket(profile_id, $2::uuid[])],
    visit_at = ($5::timestamptz[])[width_bucket(profile_id, $2::uuid[])],
    provenance = ($6::text[])[width_bucket(profile_id, $2::uuid[])]::jsonb
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: put_survivors
-- Point the profiles that an absorbed one had absorbed before straight at its survivor.
-- $2: absorbed profiles
-- $3: their survivors, in the same order
UPDATE profile
SET survivor_id = ($3::uuid[])[array_position($2::uuid[], survivor_id)]
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]);

-- name: exist
-- Whether the dataset has any profile.
SELECT EXISTS (SELECT FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased);

-- name: holds_value
-- Whether any profile has a value under a key.
-- $2: scope
-- $3: key
SELECT EXISTS (SELECT FROM profile
               WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased AND (record_values -> $2) ? $3);

-- name: lock_token_holders
-- The profiles whose ids begin like the primary ids of tokens, locked, then the live claims of
-- identifiers, each with the survivor of its profile.
-- $2: smallest profile ids
-- $3: largest profile ids
-- $4: namespaces
-- $5: values
-- First the ids, each by one index look-up, and then the rows: a join would scan the whole dataset.
WITH remembered AS MATERIALIZED (
    SELECT known.profile_id, known.seq FROM unnest($2::uuid[], $3::uuid[]) AS sought (first_id, last_id)
    CROSS JOIN LATERAL (
        SELECT profile_id, seq FROM profile
        WHERE dataset_id = $1 AND profile_id BETWEEN sought.first_id AND sought.last_id
        OFFSET 0
    ) AS known
), locked AS (
    SELECT * FROM profile
    WHERE dataset_id = $1 AND profile_id = ANY (ARRAY (SELECT profile_id FROM remembered))
    ORDER BY profile_id
    FOR UPDATE
)
SELECT {profile_columns}, NULL AS namespace, NULL AS value, NULL AS trust, NULL::bigint AS at,
       NULL::bigint AS since,
       (SELECT seq FROM remembered WHERE remembered.profile_id = locked.profile_id) AS seen_seq
FROM locked
UNION ALL
SELECT {claim_as_profile}, claim.namespace, claim.value, claim.trust, claim.at, claim.since, NULL
FROM unnest($4::text[], $5::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT * FROM claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value AND until_seq IS NULL
    OFFSET 0
) AS claim
CROSS JOIN LATERAL (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id = claim.profile_id
    OFFSET 0
) AS pointer;

-- name: find_unified_ids
-- The ids of a survivor and of every profile that it absorbed.
-- $2: survivor
SELECT profile_id FROM profile WHERE dataset_id = $1 AND (profile_id = $2 OR survivor_id = $2);

-- name: find_values
-- What every survivor holds under one key, in the order of reindexing.
-- $2: scope
-- $3: key
SELECT profile_id,
       jsonb_build_object($2::text, jsonb_build_object($3::text, record_values -> $2 -> $3))::text
       AS record_values,
       jsonb_strip_nulls(
           jsonb_build_object($2::text || '.' || $3::text, provenance -> ($2 || '.' || $3))
       )::text AS provenance
FROM profile
WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased AND (record_values -> $2) ? $3
ORDER BY profile_id;

-- name: find_called
-- The profile that an id means, in the order of service/profiles/lookup.
-- Each part is read only if those before it found nothing. OFFSET 0 keeps it one index look-up per claim.
-- $2: id
-- $3 to $4: the smallest and the largest profile id that begin with it; null if none can
-- $5: the namespace of anonymous ids
-- $6: the namespace of named ids
-- The id of an erased profile means none, whatever a browser or a user is called.
SELECT CASE WHEN NOT EXISTS (SELECT FROM profile
                             WHERE dataset_id = $1 AND profile_id BETWEEN $3 AND $4 AND erased) THEN coalesce(
    (SELECT profile_id FROM profile
     WHERE dataset_id = $1 AND profile_id BETWEEN $3 AND $4 AND NOT erased
       AND (primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text)))
     LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $6 AND value = $2 ORDER BY seq DESC OFFSET 0) AS claimed
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = claimed.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     ORDER BY claimed.seq DESC LIMIT 1),
    (SELECT survivor.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 AND until_seq IS NULL
           ORDER BY seq OFFSET 0) AS claimed
     CROSS JOIN LATERAL (
         SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
         WHERE dataset_id = $1 AND profile_id = claimed.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = known.survivor_id AND user_id IS NULL AND identities = '{}'
         OFFSET 0
     ) AS survivor
     ORDER BY claimed.seq LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 ORDER BY seq DESC OFFSET 0) AS claimed
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = claimed.profile_id AND NOT erased
           AND (primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text)))
         OFFSET 0
     ) AS known
     ORDER BY claimed.seq DESC LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 AND until_seq IS NULL
           ORDER BY seq OFFSET 0) AS claimed
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = claimed.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     ORDER BY claimed.seq LIMIT 1)
) END AS profile_id;

-- name: find_of_anonymous_id
-- The profiles that an anonymous id may mean: those that were called so, and those that it points at now.
-- None if the id is one that the service made, or a named user's.
-- $2: id
-- $3 to $4: the smallest and the largest profile id that begin with it; null if none can
-- $5: the namespace of anonymous ids
-- $6: the namespace of named ids
-- $7: at most so many
SELECT DISTINCT known.profile_id, known.survivor_id, known.is_called
FROM (SELECT profile_id, until_seq FROM claim
      WHERE dataset_id = $1 AND namespace = $5 AND value = $2
      OFFSET 0) AS claimed
CROSS JOIN LATERAL (
    SELECT profile_id, coalesce(survivor_id, profile_id) AS survivor_id,
           primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text)) AS is_called
    FROM profile
    WHERE dataset_id = $1 AND profile_id = claimed.profile_id AND NOT erased
    OFFSET 0
) AS known
WHERE (known.is_called OR claimed.until_seq IS NULL)
  AND NOT EXISTS (
      SELECT FROM profile
      WHERE dataset_id = $1 AND profile_id BETWEEN $3 AND $4
        AND (erased OR primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text))))
  AND NOT EXISTS (
      SELECT FROM claim JOIN profile USING (dataset_id, profile_id)
      WHERE claim.dataset_id = $1 AND claim.namespace = $6 AND claim.value = $2 AND NOT profile.erased)
ORDER BY known.profile_id
LIMIT $7;

-- name: find_absorbed_ids
-- The profiles that survivors have absorbed with every primary id that each had, in the order of the merges.
-- $2: survivors
SELECT survivor_id, profile_id, primary_id, aliases::text, seq
FROM profile
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]) AND NOT erased
ORDER BY survivor_id, seq, profile_id;

-- name: count_large
-- The survivors that have absorbed many profiles.
-- $2: how many at least
SELECT count(*)
FROM (
    SELECT survivor_id
    FROM profile
    WHERE dataset_id = $1 AND survivor_id IS NOT NULL
    GROUP BY survivor_id
    HAVING count(*) >= $2
) AS large;

-- name: list_survivors
-- A page of survivors, the newest first.
-- $2: rows at most
-- $3: rows before the page
SELECT {profile_columns}
FROM profile
WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased
ORDER BY created_at DESC, profile_id DESC
LIMIT $2 OFFSET $3;

-- name: list_values
-- The values of the next survivors in the order of their ids.
-- $2: the id before them
-- $3: rows at most
SELECT profile_id, record_values::text
FROM profile
WHERE dataset_id = $1 AND profile_id > $2 AND survivor_id IS NULL AND NOT erased
ORDER BY profile_id
LIMIT $3;

-- name: count_values
-- Of the next survivors in the order of their ids: how many have a value at a path, how many all, the last.
-- $2: the path, which reads every object of a list
-- $3: the id before them
-- $4: rows at most
SELECT count(*) FILTER (WHERE jsonb_path_exists(record_values, $2::text::jsonpath)) AS with_value,
       count(*) AS seen, (array_agg(profile_id ORDER BY profile_id DESC))[1] AS last
FROM (
    SELECT profile_id, record_values
    FROM profile
    WHERE dataset_id = $1 AND profile_id > $3 AND survivor_id IS NULL AND NOT erased
    ORDER BY profile_id
    LIMIT $4
) AS next_profiles;
