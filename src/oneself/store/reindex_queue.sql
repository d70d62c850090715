-- The profiles that a reindex job has yet to look at, in a scratch table.

-- name: begin
-- Make a table of this connection alone: profiles, each with its age.
-- One that an earlier job left on the connection is dropped.
DROP TABLE IF EXISTS pg_temp.unindexed;
CREATE TEMP TABLE unindexed (
    since bigint NOT NULL,
    profile_id uuid NOT NULL,
    PRIMARY KEY (since, profile_id)
);

-- name: fill
-- Insert the profiles after a position, each as old as what it holds at dotted paths, else as itself.
-- $2: age
-- $3: profile id
-- $4: dotted paths; see core/resolution/evidence.first_recorded
-- $5: begin of the job
-- Includes profiles that were absorbed since the job began, because it may have passed their survivor before.
INSERT INTO unindexed (since, profile_id)
SELECT since, profile_id
FROM (
    SELECT profile_id, coalesce(
               (SELECT min(coalesce((source ->> 'since')::bigint, (source ->> 'seq')::bigint))
                FROM unnest($4::text[]) AS leaf, jsonb_array_elements(provenance -> leaf) AS source),
               (extract(epoch FROM created_at) * 1000000)::bigint) AS since
    FROM profile
    WHERE dataset_id = $1 AND NOT erased AND (survivor_id IS NULL OR seq >= $5)
) AS aged
WHERE (since, profile_id) > ($2, $3)
ORDER BY since, profile_id;

-- name: plan_point_lookups
-- Find rows by keys from now on: the scratch table has no statistics.
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;

-- name: list_after
-- The next profiles after a position, each with what its survivor holds.
-- $2: age
-- $3: profile id
-- $4: profiles per page
-- $5: scope of the source
-- $6: first key of the source
-- $7: namespace of the job
SELECT page.since, page.profile_id, survivor.profile_id AS survivor_id, survivor.created_at,
       survivor.record_values::text, survivor.provenance::text, survivor.identities::text,
       (survivor.record_values -> $5) ? $6 OR survivor.identities ? $7 AS is_concerned
FROM (
    SELECT since, profile_id FROM unindexed WHERE (since, profile_id) > ($2, $3)
    ORDER BY since, profile_id
    LIMIT $4
) AS page
CROSS JOIN LATERAL (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id = page.profile_id
    OFFSET 0
) AS pointer
CROSS JOIN LATERAL (
    SELECT profile_id, created_at, record_values, provenance, identities FROM profile
    WHERE dataset_id = $1 AND profile_id = pointer.survivor_id
    OFFSET 0
) AS survivor
ORDER BY page.since, page.profile_id;
