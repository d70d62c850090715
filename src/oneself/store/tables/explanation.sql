-- What explanations read of several tables: the parts of a profile, and what holds them together.

-- name: list_of_owner
-- The next fragments that a user owns, by id.
-- $2: user
-- $3: the id before them
-- $4: rows at most
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND owner_id IS NOT NULL AND owner_id = $2 AND fragment_id > $3
ORDER BY fragment_id
LIMIT $4;

-- name: list_of_reported_user
-- The next fragments without an owner that a user is reported for, by id.
-- $2: user
-- $3: the id before them
-- $4: rows at most
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND reported_id IS NOT NULL AND reported_id = $2 AND fragment_id > $3
  AND owner_id IS NULL
ORDER BY fragment_id
LIMIT $4;

-- name: list_members
-- The next fragments of a profile in the view `proven`, by id, but for the one that heads it.
-- $2: the fragment that heads it
-- $3: the id before them
-- $4: rows at most
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND proven_id = $2 AND proven_id <> fragment_id AND fragment_id > $3
ORDER BY fragment_id
LIMIT $4;

-- name: list_claimants
-- The next fragments of which a server or a provider said one of some identifiers, by the age of the claim.
-- $2: namespaces
-- $3: values
-- $4: tenures
-- $5: the age of the claim before them, as a seq
-- $6: its fragment
-- $7: rows at most
SELECT sought.number, claim.since, claim.fragment_id
FROM unnest($2::text[], $3::text[], $4::integer[])
     WITH ORDINALITY AS sought (namespace, value, tenure, number)
CROSS JOIN LATERAL (
    SELECT since, fragment_id FROM fragment_claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
      AND tenure = sought.tenure AND level > 0 AND (since, fragment_id) > ($5, $6)
    ORDER BY since, fragment_id
    LIMIT $7
) AS claim
ORDER BY claim.since, claim.fragment_id, sought.number
LIMIT $7;

-- name: find_claimants
-- Of the fragments with the oldest proven claims on identifiers, those of one profile in the view `proven`.
-- $2: namespaces
-- $3: values
-- $4: tenures
-- $5: the fragment that heads the profile
-- $6: how many claims of each identifier are looked at
SELECT DISTINCT claim.fragment_id
FROM unnest($2::text[], $3::text[], $4::integer[]) AS sought (namespace, value, tenure)
CROSS JOIN LATERAL (
    SELECT fragment_id FROM fragment_claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
      AND tenure = sought.tenure AND level > 0
    ORDER BY since, fragment_id
    LIMIT $6
) AS claim
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = claim.fragment_id
WHERE fragment.proven_id = $5;

-- name: find_observations
-- The entries of the log at some places, without what they say.
-- $2: seqs
SELECT seq, observation_id, fragment_id, kind, name, content ->> 'face' AS interface,
       content ->> 'application' AS application, coalesce(content ->> 'trust', 'server') AS trust,
       coalesce((content ->> 'occurred_at')::bigint, seq) AS at
FROM log
WHERE dataset_id = $1 AND seq = ANY ($2::bigint[])
ORDER BY seq, observation_id;

-- name: list_merges
-- The last merges of the next profiles that a survivor has absorbed, by id.
-- $2: survivor
-- $3: the id before them
-- $4: rows at most
SELECT merged.absorbed_id, merged.survivor_id, merged.seq, merged.reason, merged.namespace, merged.value
FROM (
    SELECT profile_id FROM profile
    WHERE dataset_id = $1 AND survivor_id IS NOT NULL AND survivor_id = $2 AND profile_id > $3
    ORDER BY profile_id
    LIMIT $4
) AS part
CROSS JOIN LATERAL (
    SELECT * FROM merge
    WHERE dataset_id = $1 AND absorbed_id = part.profile_id
    ORDER BY seq DESC
    LIMIT 1
) AS merged
ORDER BY merged.absorbed_id;

-- name: find_merges_up
-- The merges that lead from a profile to its survivor, in order.
-- $2: profile id
-- $3: rows at most
WITH RECURSIVE way AS (
    SELECT 1 AS number, merged.*
    FROM (
        SELECT * FROM merge WHERE dataset_id = $1 AND absorbed_id = $2 ORDER BY seq DESC LIMIT 1
    ) AS merged
    UNION ALL
    SELECT way.number + 1, merged.*
    FROM way
    CROSS JOIN LATERAL (
        SELECT * FROM merge
        WHERE dataset_id = $1 AND absorbed_id = way.survivor_id
        ORDER BY seq DESC
        LIMIT 1
    ) AS merged
    WHERE way.number < $3
)
SELECT absorbed_id, survivor_id, seq, reason, namespace, value FROM way ORDER BY number;

-- name: find_claims
-- The first claims of profiles on identifiers in the view `all`.
-- $2: namespaces
-- $3: values
-- $4: profiles
SELECT DISTINCT ON (claim.profile_id, claim.namespace, claim.value)
       claim.profile_id, claim.namespace, claim.value, claim.since, claim.trust
FROM unnest($2::text[], $3::text[], $4::uuid[]) AS sought (namespace, value, profile_id)
CROSS JOIN LATERAL (
    SELECT * FROM claim
    WHERE dataset_id = $1 AND profile_id = sought.profile_id AND namespace = sought.namespace
      AND value = sought.value
    OFFSET 0
) AS claim
ORDER BY claim.profile_id, claim.namespace, claim.value, claim.trust = 'server' DESC, claim.since;

-- name: find_refusals
-- The refusals between two sets of profiles, and those of values of either, the oldest first.
-- $2: profile ids of the one
-- $3: profile ids of the other
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times
FROM refusal
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[] || $3::uuid[])
  AND (other_id = profile_id OR other_id = ANY ($2::uuid[] || $3::uuid[]))
ORDER BY first_seq, profile_id, other_id;

-- name: list_absorbed
-- Some profiles that a survivor has absorbed.
-- $2: survivor
-- $3: rows at most
SELECT profile_id FROM profile
WHERE dataset_id = $1 AND survivor_id IS NOT NULL AND survivor_id = $2
ORDER BY profile_id
LIMIT $3;

-- name: count_parts
-- How many parts a profile has in a view; the counting ends at a largest number.
-- $2: view
-- $3: the part that heads it
-- $4: the largest number
SELECT 1 + (
    SELECT count(*) FROM (
        SELECT FROM fragment
        WHERE $2::text = 'own' AND dataset_id = $1 AND own_id = $3 AND own_id <> fragment_id
        LIMIT $4::integer - 1
    ) AS part
) + (
    SELECT count(*) FROM (
        SELECT FROM fragment
        WHERE $2::text = 'proven' AND dataset_id = $1 AND proven_id = $3 AND proven_id <> fragment_id
        LIMIT $4::integer - 1
    ) AS part
) + (
    SELECT count(*) FROM (
        SELECT FROM profile
        WHERE $2::text = 'all' AND dataset_id = $1 AND survivor_id IS NOT NULL AND survivor_id = $3
        LIMIT $4::integer - 1
    ) AS part
) AS number;

-- name: count_sharing
-- Of the fragments of which a server or a provider said each of some identifiers, how many belong to a
-- profile in the view `proven`; the first claims alone are looked at.
-- $2: namespaces
-- $3: values
-- $4: the fragment that heads the profile
-- $5: claims at most
SELECT sought.number, (
    SELECT count(DISTINCT claim.fragment_id)
    FROM (
        SELECT fragment_id FROM fragment_claim
        WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value AND level > 0
        LIMIT $5
    ) AS claim
    JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = claim.fragment_id
    WHERE fragment.proven_id = $4
) AS parts
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS sought (namespace, value, number)
ORDER BY sought.number;

-- name: count_merged_by
-- How many of the profiles that a survivor has absorbed were last merged by each identifier; the first
-- profiles alone are looked at.
-- $2: survivor
-- $3: profiles at most
SELECT merged.namespace, merged.value, count(*) AS number
FROM (
    SELECT profile_id FROM profile
    WHERE dataset_id = $1 AND survivor_id IS NOT NULL AND survivor_id = $2
    ORDER BY profile_id
    LIMIT $3
) AS part
CROSS JOIN LATERAL (
    SELECT namespace, value FROM merge
    WHERE dataset_id = $1 AND absorbed_id = part.profile_id
    ORDER BY seq DESC
    LIMIT 1
) AS merged
WHERE merged.namespace IS NOT NULL
GROUP BY merged.namespace, merged.value;

-- name: count_of_user
-- How many fragments a user owns, and how many without an owner the user is reported for; the counting ends
-- at a largest number.
-- $2: user
-- $3: the largest number
SELECT (
    SELECT count(*) FROM (
        SELECT FROM fragment
        WHERE dataset_id = $1 AND owner_id IS NOT NULL AND owner_id = $2
        LIMIT $3
    ) AS owned
) AS owned, (
    SELECT count(*) FROM (
        SELECT FROM fragment
        WHERE dataset_id = $1 AND reported_id IS NOT NULL AND reported_id = $2 AND owner_id IS NULL
        LIMIT $3
    ) AS reported
) AS reported;
