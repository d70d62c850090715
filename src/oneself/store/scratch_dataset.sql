-- A copy of some profiles of a dataset, in scratch tables that hide the live ones: what a preview changes.

-- name: begin
-- Make empty tables of this connection alone, beside those of shadow.sql, behind the live ones until
-- `hide_live_tables`.
SET search_path = oneself, pg_temp;
CREATE TEMP TABLE log (LIKE oneself.log INCLUDING ALL);
CREATE TEMP TABLE reindex_job (LIKE oneself.reindex_job INCLUDING ALL);
CREATE TEMP TABLE join_review (LIKE oneself.join_review INCLUDING ALL);
CREATE TEMP TABLE unreconciled_fragment (LIKE oneself.unreconciled_fragment INCLUDING ALL);
CREATE TEMP TABLE profile_change (LIKE oneself.profile_change INCLUDING ALL);
CREATE TEMP TABLE idempotency_record (LIKE oneself.idempotency_record INCLUDING ALL);
CREATE TEMP TABLE tombstone (LIKE oneself.tombstone INCLUDING ALL);
CREATE TEMP TABLE wide_lock (LIKE oneself.wide_lock INCLUDING ALL);
CREATE TEMP TABLE wide_lock_name (LIKE oneself.wide_lock_name INCLUDING ALL);
CREATE TEMP VIEW fragment_entry AS
    SELECT dataset_id, profile_id AS fragment_id, seq, observation_id, active_at
    FROM pg_temp.log WHERE profile_id IS NOT NULL AND fragment_id = profile_id
    UNION ALL
    SELECT dataset_id, fragment_id, seq, observation_id, active_at
    FROM pg_temp.log WHERE fragment_id IS NOT NULL AND fragment_id IS DISTINCT FROM profile_id;
CREATE TEMP TABLE holding (hash bigint NOT NULL, profile_id uuid NOT NULL);
CREATE INDEX ON holding (hash, profile_id);
CREATE INDEX ON holding (profile_id);

-- name: hide_live_tables
-- From now on statements find the scratch tables alone, by keys, because these have no statistics.
-- A table that has no copy is an error, so that nothing live is ever written.
SET search_path = pg_temp;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;

-- name: list_sharing
-- Everybody who holds a value that somebody else holds too, in order.
SELECT DISTINCT held.profile_id
FROM (SELECT hash FROM holding GROUP BY hash HAVING count(DISTINCT profile_id) > 1) AS shared
JOIN holding AS held USING (hash)
ORDER BY held.profile_id;

-- name: find_sharing_with
-- Everybody who holds a value that one of these holds, up to a number.
-- $1: profiles
-- $2: rows at most
SELECT DISTINCT other.profile_id
FROM holding AS held JOIN holding AS other USING (hash)
WHERE held.profile_id = ANY ($1::uuid[])
LIMIT $2;

-- name: list_claimed
-- What profiles of the views `proven` and `all` ever had in some namespaces.
-- $2: namespaces
SELECT claim.namespace, claim.value, fragment.proven_id AS profile_id
FROM fragment_claim AS claim
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = claim.fragment_id
WHERE claim.dataset_id = $1 AND claim.namespace = ANY ($2::text[]) AND claim.level > 0
UNION
SELECT claim.namespace, claim.value, coalesce(profile.survivor_id, profile.profile_id)
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id
WHERE claim.dataset_id = $1 AND claim.namespace = ANY ($2::text[]);

-- name: list_tied
-- The fragments of which a server or a sign-in says who it is and that something ties to others, by id.
-- Each is one look-up by an index for each thing that may tie it.
SELECT fragment_id
FROM fragment
WHERE dataset_id = $1 AND (
    owner_id IS NOT NULL OR reported_id IS NOT NULL OR EXISTS (
        SELECT FROM fragment_claim AS claim
        WHERE claim.dataset_id = $1 AND claim.fragment_id = fragment.fragment_id AND claim.level > 0
    )
) AND (
    believed_id <> fragment_id
    OR proven_id <> fragment_id
    OR EXISTS (
        SELECT FROM fragment AS other
        WHERE other.dataset_id = $1 AND other.believed_id = fragment.fragment_id
          AND other.believed_id <> other.fragment_id
    )
    OR EXISTS (
        SELECT FROM profile
        WHERE profile.dataset_id = $1 AND profile.survivor_id = fragment.believed_id
          AND profile.survivor_id IS NOT NULL
    )
    OR EXISTS (
        SELECT FROM profile
        WHERE profile.dataset_id = $1 AND profile.profile_id = fragment.believed_id
          AND profile.survivor_id IS NOT NULL
    )
    OR EXISTS (
        SELECT FROM fragment_claim AS mine
        JOIN fragment_claim AS theirs
          ON theirs.dataset_id = $1 AND theirs.namespace = mine.namespace AND theirs.value = mine.value
          AND theirs.fragment_id <> mine.fragment_id
        WHERE mine.dataset_id = $1 AND mine.fragment_id = fragment.fragment_id
    )
    OR EXISTS (
        SELECT FROM person_join WHERE person_join.dataset_id = $1 AND one_id = fragment.fragment_id
    )
    OR EXISTS (
        SELECT FROM person_join WHERE person_join.dataset_id = $1 AND other_id = fragment.fragment_id
    )
)
ORDER BY fragment_id;

-- name: copy_profiles
-- Copy what is stored of profiles of the view `all`.
-- $1: dataset
-- $2: profile ids
WITH profiles AS (
    INSERT INTO pg_temp.profile
    SELECT * FROM oneself.profile WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
), claims AS (
    INSERT INTO pg_temp.claim
    SELECT * FROM oneself.claim WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
), merges AS (
    INSERT INTO pg_temp.merge
    SELECT * FROM oneself.merge
    WHERE dataset_id = $1 AND (absorbed_id = ANY ($2::uuid[]) OR survivor_id = ANY ($2::uuid[]))
)
INSERT INTO pg_temp.refusal
SELECT * FROM oneself.refusal
WHERE dataset_id = $1 AND (profile_id = ANY ($2::uuid[]) OR other_id = ANY ($2::uuid[]));

-- name: copy_log
-- Copy what the log has of profiles, fragments and users, the changes of the configuration, and erasures.
-- $1: dataset
-- $2: profile ids
-- $3: fragment ids
-- $4: the same as JSON has them
-- $5: users
INSERT INTO pg_temp.log
SELECT * FROM oneself.log WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
UNION
SELECT * FROM oneself.log
WHERE dataset_id = $1 AND fragment_id = ANY ($3::uuid[]) AND fragment_id IS DISTINCT FROM profile_id
UNION
SELECT * FROM oneself.log
WHERE dataset_id = $1 AND kind IN ('match', 'review') AND content -> 'fragment_ids' ?| $4::text[]
UNION
SELECT * FROM oneself.log
WHERE dataset_id = $1 AND kind IN ('split', 'merge') AND content -> 'fragment_ids' ?| $4::text[]
UNION
SELECT * FROM oneself.log
WHERE dataset_id = $1 AND kind = 'verification' AND content ->> 'user_id' = ANY ($5::text[])
UNION
SELECT * FROM oneself.log WHERE dataset_id = $1 AND kind IN ('configure', 'erase');

-- name: copy_fragments
-- Copy fragments with what is stored of them in the views `own` and `proven`.
-- $1: dataset
-- $2: fragment ids
WITH fragments AS (
    INSERT INTO pg_temp.fragment
    SELECT * FROM oneself.fragment WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
), claims AS (
    INSERT INTO pg_temp.fragment_claim
    SELECT * FROM oneself.fragment_claim WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
), joins AS (
    INSERT INTO pg_temp.person_join
    SELECT * FROM oneself.person_join
    WHERE dataset_id = $1 AND one_id = ANY ($2::uuid[]) AND other_id = ANY ($2::uuid[])
), views AS (
    INSERT INTO pg_temp.view_profile
    SELECT * FROM oneself.view_profile
    WHERE dataset_id = $1 AND view IN ('own', 'proven') AND profile_id = ANY ($2::uuid[])
), waiting AS (
    INSERT INTO pg_temp.unreconciled_fragment
    SELECT * FROM oneself.unreconciled_fragment
    WHERE dataset_id = $1
      AND (fragment_id = ANY ($2::uuid[]) OR fragment_id = '00000000-0000-0000-0000-000000000000')
)
INSERT INTO pg_temp.separation
SELECT * FROM oneself.separation WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);

-- name: copy_names
-- Copy browsers, what users verified, and when identifiers changed hands.
-- $1: dataset
-- $2: namespaces
-- $3: values
-- $4: users
WITH browsers AS (
    INSERT INTO pg_temp.browser
    SELECT * FROM oneself.browser
    WHERE dataset_id = $1 AND (namespace, value) IN (SELECT * FROM unnest($2::text[], $3::text[]))
), verified AS (
    INSERT INTO pg_temp.verified_claim
    SELECT * FROM oneself.verified_claim WHERE dataset_id = $1 AND user_id = ANY ($4::text[])
)
INSERT INTO pg_temp.identifier_transfer
SELECT * FROM oneself.identifier_transfer
WHERE dataset_id = $1 AND (namespace, value) IN (SELECT * FROM unnest($2::text[], $3::text[]));

-- name: copy_settings
-- Copy the configuration, and the work that is not finished.
-- $1: dataset
WITH configs AS (
    INSERT INTO pg_temp.config SELECT * FROM oneself.config WHERE dataset_id = $1
), jobs AS (
    INSERT INTO pg_temp.reindex_job
    SELECT * FROM oneself.reindex_job WHERE dataset_id = $1 AND state = 'running'
)
INSERT INTO pg_temp.join_review SELECT * FROM oneself.join_review WHERE dataset_id = $1;

-- name: free_jobs
-- Let unfinished work begin anew: nobody else has it.
-- $1: dataset
UPDATE pg_temp.reindex_job
SET lease_until = NULL, after_id = NULL, after_since = NULL
WHERE dataset_id = $1;

-- name: count_fragments
-- How many fragments were copied.
SELECT count(*) FROM fragment WHERE dataset_id = $1;

-- name: list_heads
-- Every fragment, with the profiles that it belongs to.
SELECT fragment_id, believed_id, own_id, proven_id FROM fragment WHERE dataset_id = $1;

-- name: list_survivors
-- Every profile of the view `all` that is not erased, with its survivor.
SELECT profile_id, coalesce(survivor_id, profile_id) AS survivor_id
FROM profile
WHERE dataset_id = $1 AND NOT erased;

-- name: list_values
-- What the profiles of a view have, and which they absorbed.
-- $2: view
SELECT profile_id, record_values, '[]'::jsonb AS absorbed
FROM profile
WHERE dataset_id = $1 AND $2::text = 'all' AND survivor_id IS NULL AND NOT erased
UNION ALL
SELECT fragment.fragment_id, coalesce(unified.record_values, fragment.record_values),
       coalesce(unified.absorbed, '[]'::jsonb)
FROM fragment
LEFT JOIN view_profile AS unified
  ON unified.dataset_id = $1 AND unified.view = $2 AND unified.profile_id = fragment.fragment_id
WHERE fragment.dataset_id = $1 AND $2::text <> 'all'
  AND fragment.fragment_id = CASE $2::text WHEN 'own' THEN fragment.own_id ELSE fragment.proven_id END;

-- name: list_refusals
-- Every refusal that was recorded.
SELECT code, profile_id, other_id, namespace FROM refusal WHERE dataset_id = $1;

-- name: list_merges
-- Every merge that was carried out, with what caused it, in order.
SELECT absorbed_id, reason, namespace, value FROM merge WHERE dataset_id = $1 ORDER BY seq, absorbed_id;
