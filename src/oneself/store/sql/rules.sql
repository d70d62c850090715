-- name: begin_indexing
-- Let a rule ($2) be applied to the profiles that exist, from the first one on.
INSERT INTO indexing (dataset_id, rule_id, state, total, started_at, updated_at)
SELECT $1, $2, 'running', (SELECT count(*) FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased),
       now(), now()
ON CONFLICT (dataset_id, rule_id) DO UPDATE
SET state = 'running', after_id = NULL, after_since = NULL, seen = 0, indexed = 0, merged = 0, total = excluded.total,
    started_at = now(), updated_at = now(), lease_until = NULL;

-- name: cancel_indexing
-- A rule ($2) is not active any more.
UPDATE indexing SET state = 'cancelled', updated_at = now()
WHERE dataset_id = $1 AND rule_id = $2 AND state = 'running';

-- name: lease_indexing
-- Take one piece of work that nobody is at, for $1 seconds.
UPDATE indexing SET lease_until = now() + make_interval(secs => $1), updated_at = now()
WHERE (dataset_id, rule_id) = (
    SELECT dataset_id, rule_id FROM indexing
    WHERE state = 'running' AND coalesce(lease_until, '-infinity') < now()
    ORDER BY started_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING dataset_id, rule_id, after_since, after_id, started_at, lease_until;

-- name: begin_walk
-- A table of this connection alone: the profiles that a reindex job has yet to look at, each with its age.
CREATE TEMP TABLE unindexed (since bigint NOT NULL, profile_id uuid NOT NULL, PRIMARY KEY (since, profile_id));

-- name: put_unindexed
-- The profiles after a place ($2 since, $3 profile), each as old as the value that it holds at one of the dotted paths $4 (core/evidence.first_recorded), else as itself.
-- Those absorbed since the work began ($5, a seq) are among them: the work may have passed their survivor before.
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

-- name: find_unindexed
-- The next profiles ($4 at most) after a place ($2 since, $3 profile), each as its survivor is, that may hold a value under a key ($5 scope, $6 key) or in a namespace ($7).
SELECT page.since, page.profile_id, survivor.profile_id AS survivor_id, survivor.created_at,
       survivor.record_values::text, survivor.provenance::text, survivor.identities::text,
       (survivor.record_values -> $5) ? $6 OR survivor.identities ? $7 AS concerned
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

-- name: put_progress
-- Record how far the work on a rule ($2) has come: up to $3 since and $4, $5 seen, $6 indexed, $7 merged; keep it $8 seconds more,
-- unless the lease ($9) is gone: to another worker, or because the rule was switched and all begins anew.
UPDATE indexing
SET after_since = $3, after_id = $4, seen = seen + $5, indexed = indexed + $6, merged = merged + $7, updated_at = now(),
    lease_until = now() + make_interval(secs => $8)
WHERE dataset_id = $1 AND rule_id = $2 AND state = 'running' AND lease_until = $9
RETURNING lease_until;

-- name: end_indexing
-- Every profile is indexed, says who holds the lease ($3).
UPDATE indexing SET state = 'done', updated_at = now(), lease_until = NULL
WHERE dataset_id = $1 AND rule_id = $2 AND state = 'running' AND lease_until = $3;

-- name: find_indexing
-- How far the work on the rules of a dataset has come.
SELECT rule_id, state, seen, indexed, merged, total, started_at, updated_at
FROM indexing WHERE dataset_id = $1 ORDER BY started_at, rule_id;

-- name: find_refusals
-- The refusals of a dataset before a place ($2 seq, $3 profile, $4 other, $5 kind), the latest first, $6 at most; of code $7 if given.
SELECT code, profile_id, other_id, namespace, first_seq, last_seq, times, kind
FROM refusal
CROSS JOIN LATERAL hashtextextended(code || '/' || namespace, 0) AS kind
WHERE dataset_id = $1 AND (last_seq, profile_id, other_id, kind) < ($2, $3, $4, $5) AND ($7::text IS NULL OR code = $7)
ORDER BY last_seq DESC, profile_id DESC, other_id DESC, kind DESC
LIMIT $6;

-- name: count_refusals
-- How often each kind of refusal was met.
SELECT code, count(*) AS pairs, sum(times)::bigint AS times FROM refusal WHERE dataset_id = $1 GROUP BY code ORDER BY code;
