-- The table `unreconciled_fragment`: fragments whose evidence changed; the view `all` may have to follow.

-- name: put
-- Add fragments; a known one gets the later observation.
-- $2: fragment ids
-- $3: seqs of the observations that changed their evidence
INSERT INTO unreconciled_fragment (dataset_id, fragment_id, seq)
SELECT $1, row.*
FROM unnest($2::uuid[], $3::bigint[]) AS row
ON CONFLICT (dataset_id, fragment_id) DO UPDATE SET seq = excluded.seq;

-- name: remove
-- Remove fragments, unless their evidence has changed since they were read.
-- $2: fragment ids
-- $3: seqs as they were read
DELETE FROM unreconciled_fragment AS listed
USING unnest($2::uuid[], $3::bigint[]) AS done (fragment_id, seq)
WHERE listed.dataset_id = $1 AND listed.fragment_id = done.fragment_id AND listed.seq = done.seq;

-- name: find_some
-- Those that are listed among fragments.
-- $2: fragment ids
SELECT dataset_id, fragment_id, seq
FROM unreconciled_fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);

-- name: try_lock
-- Whether nobody else reconciles in the dataset until the transaction ends.
-- $1: the key of the lock
SELECT pg_try_advisory_xact_lock($1);

-- name: find_first
-- The fragment that has waited longest; every fragment is the last.
SELECT dataset_id, fragment_id, seq
FROM unreconciled_fragment
WHERE dataset_id = $1
ORDER BY fragment_id = '00000000-0000-0000-0000-000000000000'::uuid, seq, fragment_id
LIMIT 1;

-- name: find_next
-- The next fragment of which a server or a sign-in says who it is, in the order of their ids.
-- $2: the id of a fragment
-- $3: a seq; fragments that began after it are left out
SELECT fragment_id
FROM fragment
WHERE dataset_id = $1 AND fragment_id > $2 AND (state::jsonb ->> 'began_at')::bigint < $3 AND (
    owner_id IS NOT NULL OR reported_id IS NOT NULL OR EXISTS (
        SELECT FROM fragment_claim AS claim
        WHERE claim.dataset_id = $1 AND claim.fragment_id = fragment.fragment_id AND claim.level > 0
    )
)
ORDER BY fragment_id
LIMIT 1;

-- name: list_datasets
-- The datasets with fragments that are to be reconciled.
SELECT DISTINCT dataset_id FROM unreconciled_fragment ORDER BY dataset_id;
