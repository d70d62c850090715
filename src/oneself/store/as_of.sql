-- A part of a dataset as it was at an instant: its entries of the log beside the live ones, folded into
-- scratch tables.

-- name: begin_log
-- Make an empty log of this connection alone, and the entries of its fragments.
CREATE TEMP TABLE log (LIKE oneself.log INCLUDING DEFAULTS, PRIMARY KEY (dataset_id, seq, observation_id));
CREATE INDEX ON log (dataset_id, profile_id, seq) WHERE profile_id IS NOT NULL;
CREATE INDEX ON log (dataset_id, fragment_id, seq)
    WHERE fragment_id IS NOT NULL AND fragment_id IS DISTINCT FROM profile_id;
CREATE TEMP VIEW fragment_entry AS
SELECT dataset_id, profile_id AS fragment_id, seq, observation_id, active_at
FROM log WHERE profile_id IS NOT NULL AND fragment_id = profile_id
UNION ALL
SELECT dataset_id, fragment_id, seq, observation_id, active_at
FROM log WHERE fragment_id IS NOT NULL AND fragment_id IS DISTINCT FROM profile_id;

-- name: show_live
-- Let names without a schema mean the live tables for the rest of the transaction.
SET LOCAL search_path = oneself, pg_temp;

-- name: show_folded
-- Let names without a schema mean the scratch tables for the rest of the transaction.
SET LOCAL search_path = oneself;

-- name: count_entries
-- How many entries fragments and profiles have up to an instant, counted to a number for either.
-- $1: dataset
-- $2: fragment ids
-- $3: profile ids
-- $4: the last seq
-- $5: the largest number
SELECT count(*)
FROM (
    (
        SELECT seq, observation_id FROM oneself.fragment_entry
        WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND seq <= $4
        LIMIT $5
    )
    UNION
    (
        SELECT seq, observation_id FROM oneself.log
        WHERE dataset_id = $1 AND profile_id = ANY ($3::uuid[]) AND seq <= $4
        LIMIT $5
    )
) AS entry;

-- name: copy_entries
-- Copy the entries of fragments and profiles up to an instant; they belong to no fragment yet.
-- $1: dataset
-- $2: fragment ids
-- $3: profile ids
-- $4: the last seq
INSERT INTO pg_temp.log ({copied_columns})
SELECT recorded.*
FROM (
    SELECT seq, observation_id FROM oneself.fragment_entry
    WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND seq <= $4
    UNION
    SELECT seq, observation_id FROM oneself.log
    WHERE dataset_id = $1 AND profile_id = ANY ($3::uuid[]) AND seq <= $4
) AS entry
CROSS JOIN LATERAL (
    SELECT {copied_columns} FROM oneself.log
    WHERE dataset_id = $1 AND seq = entry.seq AND observation_id = entry.observation_id
) AS recorded
ON CONFLICT DO NOTHING;

-- name: copy_named
-- Copy some entries.
-- $1: dataset
-- $2: seqs
-- $3: observations
INSERT INTO pg_temp.log ({copied_columns})
SELECT recorded.*
FROM unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
CROSS JOIN LATERAL (
    SELECT {copied_columns} FROM oneself.log
    WHERE dataset_id = $1 AND seq = entry.seq AND observation_id = entry.observation_id
) AS recorded
ON CONFLICT DO NOTHING;

-- name: find_profiles
-- The profiles that the copied entries are attached to.
SELECT DISTINCT profile_id FROM pg_temp.log WHERE profile_id IS NOT NULL;

-- name: count_copied
-- How many entries are copied.
SELECT count(*) FROM pg_temp.log;

-- name: put_believed
-- Insert the profiles that the copied entries are attached to as they were called and merged at an instant,
-- without their values.
-- $1: dataset
-- $2: the last seq
WITH RECURSIVE attached AS (
    SELECT DISTINCT profile_id FROM pg_temp.log WHERE profile_id IS NOT NULL
), way AS (
    SELECT profile_id, profile_id AS head_id, 0 AS number, NULL::bigint AS since, NULL::text AS reason
    FROM attached
    UNION ALL
    SELECT way.profile_id, merged.survivor_id, way.number + 1, coalesce(way.since, merged.seq),
           coalesce(way.reason, merged.reason)
    FROM way
    CROSS JOIN LATERAL (
        SELECT survivor_id, seq, reason FROM oneself.merge
        WHERE dataset_id = $1 AND absorbed_id = way.head_id AND seq <= $2
        ORDER BY seq DESC
        LIMIT 1
    ) AS merged
    WHERE way.number < 100
), placed AS (
    SELECT DISTINCT ON (profile_id) profile_id, head_id, since, reason
    FROM way ORDER BY profile_id, number DESC
), every AS (
    SELECT profile_id, nullif(head_id, profile_id) AS survivor_id, since, reason FROM placed
    UNION ALL
    SELECT head_id, NULL, NULL, NULL
    FROM placed WHERE head_id NOT IN (SELECT profile_id FROM placed)
    GROUP BY head_id
)
INSERT INTO pg_temp.profile (
    dataset_id, profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq,
    record_values, provenance, identities, consents, visit_at, first_active_at, aliases
)
SELECT $1, known.profile_id, every.survivor_id, CASE WHEN every.survivor_id IS NOT NULL THEN every.reason END,
       coalesce((
           SELECT alias ->> 0 FROM jsonb_array_elements(known.aliases) WITH ORDINALITY AS item (alias, number)
           WHERE (alias ->> 1)::bigint > $2
           ORDER BY item.number
           LIMIT 1
       ), known.primary_id),
       CASE WHEN EXISTS (
           SELECT FROM oneself.claim
           WHERE dataset_id = $1 AND profile_id = known.profile_id AND namespace = 'user_id'
             AND value = known.user_id AND seq <= $2
       ) THEN known.user_id END,
       known.created_at, known.updated_at, known.active_at,
       CASE WHEN every.survivor_id IS NULL THEN known.seq ELSE every.since END,
       '{}', '{}', '{}', '{}', known.visit_at, known.first_active_at, coalesce((
           SELECT jsonb_agg(alias ORDER BY item.number)
           FROM jsonb_array_elements(known.aliases) WITH ORDINALITY AS item (alias, number)
           WHERE (alias ->> 1)::bigint <= $2
       ), '[]')
FROM every
JOIN oneself.profile AS known ON known.dataset_id = $1 AND known.profile_id = every.profile_id
WHERE NOT known.erased
ON CONFLICT DO NOTHING;
