-- The entries of the log that name something which the configuration of their time dropped.

-- name: list_after
-- The next entries that name something which the configuration of their time dropped, in order.
-- $2: seq after which
-- $3: observation after which
-- $4: rows at most
SELECT {entry_columns}, fragment_id
FROM log
WHERE dataset_id = $1 AND (seq, observation_id) > ($2, $3) AND plan ? 'dropped'
ORDER BY seq, observation_id
LIMIT $4;

-- name: find
-- Those among some entries, in order.
-- $2: seqs of the entries
-- $3: their observations
SELECT {entry_columns}
FROM unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
JOIN log USING (seq, observation_id)
WHERE log.dataset_id = $1 AND plan ? 'dropped'
ORDER BY seq, observation_id;

-- name: has_unread
-- Whether a later version of the configuration admits what the plan of an entry of profiles dropped.
-- $2: profile ids
-- The plan may have dropped something else as well.
SELECT EXISTS (
    SELECT FROM log
    WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND admitted_by IS NOT NULL AND plan ? 'dropped'
);

-- name: admit
-- Read entries by a later version of the configuration as well, and apply their plans as recorded.
-- $2: seqs of the entries
-- $3: their observations
-- $4: version of the configuration
UPDATE log SET admitted_by = array_append(admitted_by, $4::bigint), replay = 'apply'
FROM unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
WHERE log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id;

-- name: readdress
-- Let entries that address a fragment address another one; in the view `all` they address the same profile.
-- $2: seqs of the entries
-- $3: their observations
-- $4: the fragments that they address from now on
UPDATE log
SET content = content || jsonb_build_object(
    'profile_id', entry.fragment_id,
    'believed_id', coalesce(content -> 'believed_id', content -> 'profile_id')
)
FROM unnest($2::bigint[], $3::uuid[], $4::uuid[]) AS entry (seq, observation_id, fragment_id)
WHERE log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id;
