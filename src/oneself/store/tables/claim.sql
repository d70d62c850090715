-- The table `claim`: which profile holds which identifier, since when, until when.

-- name: find
-- The live claims of identifiers, then the profiles whose ids begin like the primary ids of tokens, each with
-- the survivor of its profile.
-- $2: namespaces
-- $3: values
-- $4: smallest profile ids
-- $5: largest profile ids
{live_claims};

-- name: find_of_profiles
-- Every claim that profiles ever had, the oldest first.
-- $2: profile ids
SELECT namespace, value, profile_id, seq, trust, at, since, until_seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY seq, namespace, value;

-- name: find_history
-- Every claim that any profile ever had on identifiers, the oldest first.
-- $2: namespaces
-- $3: values
SELECT namespace, value, profile_id, seq, trust, at, since, until_seq
FROM claim
WHERE dataset_id = $1 AND (namespace, value) IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY namespace, value, seq, profile_id;

-- name: find_values
-- The live values of a namespace, each with the survivor that holds it.
-- $2: namespace
SELECT coalesce(profile.survivor_id, profile.profile_id) AS profile_id, claim.value
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id AND NOT profile.erased
WHERE claim.dataset_id = $1 AND claim.namespace = $2 AND claim.until_seq IS NULL;

-- name: put
-- Insert claims.
-- $2: namespaces
-- $3: values
-- $4: profiles
-- $5: seqs
-- $6: trust
-- $7: instants of the observations, in µs
-- $8: ages
INSERT INTO claim (dataset_id, namespace, value, profile_id, seq, trust, at, since)
SELECT $1, row.*
FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[]) AS row;

-- name: release
-- End claims, all of which exist.
-- $2: namespaces
-- $3: values
-- $4: profiles
-- $5: seqs
-- $6: trust
-- $7: instants of the observations, in µs
-- $8: ages
-- $9: seqs at which they end
INSERT INTO claim (dataset_id, namespace, value, profile_id, seq, trust, at, since, until_seq)
SELECT $1, row.*
FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[],
            $9::bigint[]) AS row
ON CONFLICT (dataset_id, namespace, value, seq, profile_id) DO UPDATE SET until_seq = excluded.until_seq;

-- name: put_ends
-- Change when claims ended.
-- $2: namespaces
-- $3: values
-- $4: profiles
-- $5: seqs
-- $6: seqs at which they ended; null: they are live again
UPDATE claim SET until_seq = row.until_seq
FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[])
     AS row (namespace, value, profile_id, seq, until_seq)
WHERE claim.dataset_id = $1 AND claim.namespace = row.namespace AND claim.value = row.value
  AND claim.profile_id = row.profile_id AND claim.seq = row.seq;

-- name: delete
-- Delete claims.
-- $2: namespaces
-- $3: values
-- $4: profiles
-- $5: seqs
DELETE FROM claim USING unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[])
     AS row (namespace, value, profile_id, seq)
WHERE claim.dataset_id = $1 AND claim.namespace = row.namespace AND claim.value = row.value
  AND claim.profile_id = row.profile_id AND claim.seq = row.seq;

-- name: delete_of_profiles
-- Delete every claim of profiles.
-- $2: profile ids
DELETE FROM claim WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: find_holder
-- The profile that holds an identifier: that of the oldest live claim.
-- $2: namespace
-- $3: value
SELECT claim.profile_id
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id AND NOT profile.erased
WHERE claim.dataset_id = $1 AND claim.namespace = $2 AND claim.value = $3 AND claim.until_seq IS NULL
ORDER BY claim.since, claim.profile_id
LIMIT 1;

-- name: find_last_holder
-- The profile of the oldest live claim on an identifier, else of the last claim to end.
-- $2: namespace
-- $3: value
-- $4: seq; claims before it are not current
SELECT known.profile_id
FROM (SELECT seq, until_seq, profile_id FROM claim
      WHERE dataset_id = $1 AND namespace = $2 AND value = $3 AND seq >= $4
      OFFSET 0) AS recorded
CROSS JOIN LATERAL (
    SELECT profile_id FROM profile
    WHERE dataset_id = $1 AND profile_id = recorded.profile_id AND NOT erased
    OFFSET 0
) AS known
ORDER BY recorded.until_seq DESC NULLS FIRST, recorded.seq, known.profile_id
LIMIT 1;

-- name: find_live_of_profiles
-- The live claims of profiles in some namespaces, the oldest first.
-- $2: profile ids
-- $3: namespaces
SELECT namespace, value
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND namespace = ANY ($3::text[]) AND until_seq IS NULL
ORDER BY seq, namespace, value;

-- name: list_of_profiles
-- A page of every claim that profiles ever had, the oldest first.
-- $2: profile ids
-- $3: how many of the oldest are left out. A cursor that named the last one would reveal its value.
-- $4: rows at most
SELECT namespace, value, profile_id, seq, trust, at, since, until_seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY seq, namespace, value, profile_id
OFFSET $3 LIMIT $4;
