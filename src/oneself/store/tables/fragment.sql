-- The tables `fragment` and `fragment_claim`, the smallest parts of profiles, and the view `fragment_entry`
-- of their entries of the log.

-- name: find
-- Fragments by id, those of users themselves, and those of exactly some identifiers.
-- $2: fragment ids
-- $3: users
-- $4: digests of exact identifiers
-- Three look-ups by an index each; a fragment may be found by more than one.
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
UNION ALL
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND origin = 'user' AND owner_id IS NOT NULL AND owner_id = ANY ($3::text[])
UNION ALL
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND exact_key IS NOT NULL AND exact_key = ANY ($4::bytea[]);

-- name: find_own_members
-- The fragments of a profile in the view `own`.
-- $2: the fragment that heads it
-- Two look-ups by an index each.
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = $2 AND own_id = $2
UNION ALL
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND own_id = $2 AND own_id <> fragment_id;

-- name: find_proven_members
-- The fragments of a profile in the view `proven`.
-- $2: the fragment that heads it
-- Two look-ups by an index each.
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = $2 AND proven_id = $2
UNION ALL
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND proven_id = $2 AND proven_id <> fragment_id;

-- name: find_member_ids
-- The ids of the fragments of a profile in a view.
-- $2: view
-- $3: the fragment that heads it
SELECT fragment_id FROM fragment
WHERE dataset_id = $1 AND fragment_id = $3 AND $3 = CASE $2::text WHEN 'own' THEN own_id ELSE proven_id END
UNION ALL
SELECT fragment_id FROM fragment
WHERE $2::text = 'own' AND dataset_id = $1 AND own_id = $3 AND own_id <> fragment_id
UNION ALL
SELECT fragment_id FROM fragment
WHERE $2::text = 'proven' AND dataset_id = $1 AND proven_id = $3 AND proven_id <> fragment_id;

-- name: find_heads_of
-- The fragments that head the profiles of fragments in a view.
-- $2: view
-- $3: fragment ids
SELECT fragment_id, CASE $2::text WHEN 'own' THEN own_id ELSE proven_id END AS head_id
FROM fragment WHERE dataset_id = $1 AND fragment_id = ANY ($3::uuid[]);

-- name: find_members_of_heads
-- The fragments of profiles in the view `proven`.
-- $2: the fragments that head them
-- Two look-ups by an index each.
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND proven_id = fragment_id
UNION ALL
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND proven_id = ANY ($2::uuid[]) AND proven_id <> fragment_id;

-- name: find_writing
-- Every fragment to which anything was written under one key, and perhaps others that name the key elsewhere.
-- $2: key
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND strpos(state, to_jsonb($2::text)::text) > 0
ORDER BY fragment_id;

-- name: list_writing
-- The next of these fragments, by id.
-- $2: key
-- $3: the id before them
-- $4: rows at most
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND strpos(state, to_jsonb($2::text)::text) > 0 AND fragment_id > $3
ORDER BY fragment_id
LIMIT $4;

-- name: list_proven_heads
-- The next profiles of the view `proven`, the newest first, each with whether a server or a provider said an
-- identifier of it that was said of another one as well.
-- $2: when the first one was created at most, in µs
-- $3: its id at most, of those that were created then
-- $4: rows at most
SELECT head.created_at, head.fragment_id, EXISTS (
    SELECT
    FROM (
        SELECT head.fragment_id
        UNION ALL
        SELECT part.fragment_id
        FROM fragment AS part
        WHERE part.dataset_id = $1 AND part.proven_id = head.fragment_id
          AND part.proven_id <> part.fragment_id
    ) AS member
    JOIN fragment_claim AS mine
      ON mine.dataset_id = $1 AND mine.fragment_id = member.fragment_id AND mine.level > 0
    JOIN fragment_claim AS theirs
      ON theirs.dataset_id = $1 AND theirs.namespace = mine.namespace AND theirs.value = mine.value
      AND theirs.tenure = mine.tenure AND theirs.level > 0
    JOIN fragment AS other
      ON other.dataset_id = $1 AND other.fragment_id = theirs.fragment_id
      AND other.proven_id <> head.fragment_id
) AS shares
FROM (
    SELECT fragment_id, created_at
    FROM fragment
    WHERE dataset_id = $1 AND proven_id = fragment_id AND (created_at, fragment_id) <= ($2, $3)
    ORDER BY created_at DESC, fragment_id DESC
    LIMIT $4
) AS head
ORDER BY head.created_at DESC, head.fragment_id DESC;

-- name: list_heads_apart
-- The next profiles of the view `proven` by id, each with whether a server or a provider said an identifier
-- of it that was said of another one as well, or a person or an erasure joined it with another one.
-- $2: the id before them
-- $3: rows at most
-- Each identifier of a profile is looked up once, however many of its fragments have it.
SELECT head.fragment_id, EXISTS (
    SELECT
    FROM (
        SELECT DISTINCT claim.namespace, claim.value, claim.tenure
        FROM (
            SELECT head.fragment_id
            UNION ALL
            SELECT part.fragment_id
            FROM fragment AS part
            WHERE part.dataset_id = $1 AND part.proven_id = head.fragment_id
              AND part.proven_id <> part.fragment_id
        ) AS member
        JOIN fragment_claim AS claim
          ON claim.dataset_id = $1 AND claim.fragment_id = member.fragment_id AND claim.level > 0
        OFFSET 0
    ) AS mine
    JOIN fragment_claim AS theirs
      ON theirs.dataset_id = $1 AND theirs.namespace = mine.namespace AND theirs.value = mine.value
      AND theirs.tenure = mine.tenure AND theirs.level > 0
    JOIN fragment AS other
      ON other.dataset_id = $1 AND other.fragment_id = theirs.fragment_id
      AND other.proven_id <> head.fragment_id
) OR EXISTS (
    SELECT
    FROM (
        SELECT head.fragment_id
        UNION ALL
        SELECT part.fragment_id
        FROM fragment AS part
        WHERE part.dataset_id = $1 AND part.proven_id = head.fragment_id
          AND part.proven_id <> part.fragment_id
    ) AS member
    CROSS JOIN LATERAL (
        SELECT other_id AS fragment_id FROM person_join
        WHERE dataset_id = $1 AND one_id = member.fragment_id
        UNION ALL
        SELECT one_id FROM person_join WHERE dataset_id = $1 AND other_id = member.fragment_id
    ) AS tied
    JOIN fragment AS other
      ON other.dataset_id = $1 AND other.fragment_id = tied.fragment_id
      AND other.proven_id <> head.fragment_id
) AS is_apart
FROM (
    SELECT fragment_id
    FROM fragment
    WHERE dataset_id = $1 AND proven_id = fragment_id AND fragment_id > $2
    ORDER BY fragment_id
    LIMIT $3
) AS head
ORDER BY head.fragment_id;

-- name: find_sharing_heads
-- The older profiles of the view `proven` of which a server or a provider said an identifier that was said of
-- this one as well, the oldest first.
-- $2: when the profile was created, in µs
-- $3: the fragment that heads it
-- $4: rows at most
SELECT head.fragment_id
FROM fragment AS head
WHERE head.dataset_id = $1 AND (head.created_at, head.fragment_id) < ($2, $3) AND head.fragment_id IN (
    SELECT other.proven_id
    FROM (
        SELECT $3 AS fragment_id
        UNION ALL
        SELECT part.fragment_id
        FROM fragment AS part
        WHERE part.dataset_id = $1 AND part.proven_id = $3 AND part.proven_id <> part.fragment_id
    ) AS member
    JOIN fragment_claim AS mine
      ON mine.dataset_id = $1 AND mine.fragment_id = member.fragment_id AND mine.level > 0
    JOIN fragment_claim AS theirs
      ON theirs.dataset_id = $1 AND theirs.namespace = mine.namespace AND theirs.value = mine.value
      AND theirs.tenure = mine.tenure AND theirs.level > 0
    JOIN fragment AS other ON other.dataset_id = $1 AND other.fragment_id = theirs.fragment_id
)
ORDER BY head.created_at, head.fragment_id
LIMIT $4;

-- name: find_between
-- The first fragment of a range of ids.
-- $2: the smallest id
-- $3: the largest id
SELECT {fragment_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id BETWEEN $2 AND $3
ORDER BY fragment_id
LIMIT 1;

-- name: lock
-- Fragments by id, locked in the order of their ids, each with its joins that hang on no identifier, and
-- whether a person keeps it apart from others.
-- $2: fragment ids
SELECT {fragment_columns}, {decided_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
ORDER BY fragment_id
FOR NO KEY UPDATE;

-- name: lock_versions
-- The same without what the fragments say: only the versions of their rows.
-- $2: fragment ids
SELECT fragment_id, fragment.xmin::text AS read_version, {decided_columns}
FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
ORDER BY fragment_id
FOR NO KEY UPDATE;

-- name: find_versions
-- The versions of fragments.
-- $2: fragment ids
SELECT fragment_id, xmin::text AS read_version
FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);

-- name: find_claimants
-- Up to twenty fragments of which a server or a provider said an identifier, those with the best evidence
-- first, and up to twenty that ever had a claim on it.
-- $2: namespaces
-- $3: values
-- Two index scans, one of proven claims alone (OFFSET 0) and one that ends at LIMIT: an identifier that many
-- browsers assert does not slow it.
SELECT claim.fragment_id
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    (
        SELECT fragment_id FROM (
            SELECT fragment_id, value, level FROM fragment_claim
            WHERE dataset_id = $1 AND namespace = sought.namespace AND lower(value) = lower(sought.value)
              AND level > 0
            OFFSET 0
        ) AS proven
        WHERE value = sought.value
        ORDER BY level DESC, fragment_id
        LIMIT 20
    )
    UNION ALL
    (
        SELECT fragment_id FROM fragment_claim
        WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
        ORDER BY tenure, fragment_id
        LIMIT 20
    )
) AS claim;

-- name: find_proven_claimants
-- The fragments of which a server or a provider said identifiers, in whatever case.
-- $2: namespaces
-- $3: values
SELECT claim.fragment_id
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT fragment_id FROM fragment_claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND lower(value) = lower(sought.value)
      AND level > 0
    OFFSET 0
) AS claim;

-- name: find_waiting
-- The fragments of which a server or a provider said identifiers, in whatever case, and that have no owner
-- yet or are a user's own.
-- $2: namespaces
-- $3: values
SELECT claim.fragment_id
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT fragment_id FROM fragment_claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND lower(value) = lower(sought.value)
      AND level > 0
    OFFSET 0
) AS claim
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = claim.fragment_id
WHERE fragment.owner_id IS NULL OR fragment.origin = 'user';

-- name: find_oldest_claimants
-- The fragments with the oldest proven claims on identifiers, up to a number for each, the oldest first.
-- $2: namespaces
-- $3: values
-- $4: tenures
-- $5: the largest number
SELECT sought.number, claim.fragment_id
FROM unnest($2::text[], $3::text[], $4::integer[])
     WITH ORDINALITY AS sought (namespace, value, tenure, number)
CROSS JOIN LATERAL (
    SELECT fragment_id, since FROM fragment_claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
      AND tenure = sought.tenure AND level > 0
    ORDER BY since, fragment_id
    LIMIT $5
) AS claim
ORDER BY sought.number, claim.since, claim.fragment_id;

-- name: find_some_members
-- Fragments of profiles in a view, up to a number for each.
-- $2: view
-- $3: the fragments that head the profiles
-- $4: the largest number
SELECT sought.head_id, member.fragment_id
FROM unnest($3::uuid[]) AS sought (head_id)
CROSS JOIN LATERAL (
    (
        SELECT fragment_id FROM fragment
        WHERE $2::text = 'own' AND dataset_id = $1 AND own_id = sought.head_id AND own_id <> fragment_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT fragment_id FROM fragment
        WHERE $2::text = 'proven' AND dataset_id = $1 AND proven_id = sought.head_id
          AND proven_id <> fragment_id
        LIMIT $4
    )
) AS member;

-- name: find_claiming_heads
-- Profiles in the view `proven` of which a server or a provider said a value of some namespaces.
-- $2: the fragments that head them
-- $3: namespaces
SELECT sought.fragment_id
FROM unnest($2::uuid[]) AS sought (fragment_id)
WHERE EXISTS (
    SELECT FROM fragment AS member
    JOIN fragment_claim AS claim ON claim.dataset_id = $1 AND claim.fragment_id = member.fragment_id
    WHERE member.dataset_id = $1
      AND (member.fragment_id = sought.fragment_id
           OR (member.proven_id = sought.fragment_id AND member.proven_id <> member.fragment_id))
      AND claim.namespace = ANY ($3::text[]) AND claim.level > 0
);

-- name: point_own
-- Point the fragments of absorbed profiles in the view `own` at the fragment that heads their profile now.
-- $2: the fragments that headed them
-- $3: the fragment that heads them now
-- Locked in the order of their ids, as everywhere. Whoever read them repeats the batch.
UPDATE fragment SET own_id = $3
WHERE dataset_id = $1 AND fragment_id IN (
    SELECT fragment_id FROM fragment
    WHERE dataset_id = $1 AND own_id = ANY ($2::uuid[]) AND own_id <> fragment_id
    ORDER BY fragment_id
    FOR NO KEY UPDATE
);

-- name: point_proven
-- Point the fragments of absorbed profiles in the view `proven` at the fragment that heads their profile now.
-- $2: the fragments that headed them
-- $3: the fragment that heads them now
-- Locked in the order of their ids, as everywhere. Whoever read them repeats the batch.
UPDATE fragment SET proven_id = $3
WHERE dataset_id = $1 AND fragment_id IN (
    SELECT fragment_id FROM fragment
    WHERE dataset_id = $1 AND proven_id = ANY ($2::uuid[]) AND proven_id <> fragment_id
    ORDER BY fragment_id
    FOR NO KEY UPDATE
);

-- name: find_of_users
-- The fragments that users own, or that a report names them for.
-- $2: users
SELECT fragment_id FROM fragment
WHERE dataset_id = $1 AND owner_id IS NOT NULL AND owner_id = ANY ($2::text[])
UNION
SELECT fragment_id FROM fragment
WHERE dataset_id = $1 AND reported_id IS NOT NULL AND reported_id = ANY ($2::text[]);

-- name: find_believed
-- The fragments whose first observation is attached to one of these profiles.
-- $2: profile ids
-- Two look-ups by an index each.
SELECT fragment_id FROM fragment
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND believed_id = fragment_id
UNION ALL
SELECT fragment_id FROM fragment
WHERE dataset_id = $1 AND believed_id = ANY ($2::uuid[]) AND believed_id <> fragment_id;

-- name: find_believed_of
-- The profiles that the first observations of fragments are attached to.
-- $2: fragment ids
SELECT fragment_id, believed_id FROM fragment WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);

-- name: put_believed
-- Record which profiles the first observations of fragments are attached to.
-- $2: fragment ids
-- $3: profile ids
UPDATE fragment SET believed_id = row.believed_id
FROM unnest($2::uuid[], $3::uuid[]) AS row (fragment_id, believed_id)
WHERE fragment.dataset_id = $1 AND fragment.fragment_id = row.fragment_id;

-- name: insert
-- Insert fragments.
-- $2 to $14: one array per column of store/fragments.py
INSERT INTO fragment (dataset_id, {fragment_names})
SELECT $1, {fragment_values}
FROM unnest({fragment_arrays}) AS row ({fragment_names});

-- name: update
-- Replace fragments that nobody has changed since they were read; returns these.
-- $2 to $14: one array per column of store/fragments.py, in the order of the ids
-- $15: the versions of the rows that were read
-- Avoids a join that the planner might get wrong: width_bucket gives the array index of an id.
UPDATE fragment
SET {fragment_assignments}
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
  AND xmin::text = ($15::text[])[width_bucket(fragment_id, $2::uuid[])]
RETURNING fragment_id;

-- name: update_states
-- The same for fragments of which only the state has changed.
-- $2: fragment ids, in order
-- $3: states
-- $4: seqs
-- $5: the versions of the rows that were read
UPDATE fragment
SET state = ($3::text[])[width_bucket(fragment_id, $2::uuid[])],
    seq = ($4::bigint[])[width_bucket(fragment_id, $2::uuid[])]
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
  AND xmin::text = ($5::text[])[width_bucket(fragment_id, $2::uuid[])]
RETURNING fragment_id;

-- name: put_claims
-- Record that fragments have, or had, claims on identifiers.
-- $2: namespaces
-- $3: values
-- $4: tenures
-- $5: fragments
-- $6: evidence
-- $7: the seqs of the observations that made the first claims of that evidence
INSERT INTO fragment_claim (dataset_id, namespace, value, tenure, fragment_id, level, since)
SELECT $1, row.*
FROM unnest($2::text[], $3::text[], $4::integer[], $5::uuid[], $6::smallint[], $7::bigint[]) AS row
ON CONFLICT (dataset_id, namespace, value, tenure, fragment_id)
DO UPDATE SET level = excluded.level, since = excluded.since;

-- name: delete_claims
-- Delete claims that fragments no longer keep.
-- $2: namespaces
-- $3: values
-- $4: tenures
-- $5: fragments
DELETE FROM fragment_claim AS claim
USING unnest($2::text[], $3::text[], $4::integer[], $5::uuid[])
      AS row (namespace, value, tenure, fragment_id)
WHERE dataset_id = $1 AND claim.namespace = row.namespace AND claim.value = row.value
  AND claim.tenure = row.tenure AND claim.fragment_id = row.fragment_id;

-- name: find_activity
-- The last activity of fragments before observations, among the last twenty recorded before each.
-- $2: fragments
-- $3: seqs of the observations, in the same order
SELECT sought.fragment_id, sought.seq, max(recorded.active_at) AS active_at
FROM unnest($2::uuid[], $3::bigint[]) AS sought (fragment_id, seq)
CROSS JOIN LATERAL (
    SELECT active_at FROM fragment_entry
    WHERE dataset_id = $1 AND fragment_id = sought.fragment_id AND seq < sought.seq
    ORDER BY seq DESC
    LIMIT 20
) AS recorded
WHERE recorded.active_at IS NOT NULL
GROUP BY sought.fragment_id, sought.seq;

-- name: find_last_activity
-- When fragments were last active.
-- $2: fragments
SELECT fragment_id, max(active_at) AS active_at
FROM fragment_entry
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND active_at IS NOT NULL
GROUP BY fragment_id;

-- name: delete
-- Delete fragments with their claims; their entries of the log belong to none from then on.
-- $2: fragment ids
WITH claims AS (
    DELETE FROM fragment_claim WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
), entries AS (
    SELECT seq, observation_id FROM fragment_entry WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
), detached AS (
    UPDATE log SET fragment_id = NULL, active_at = NULL
    FROM entries
    WHERE log.dataset_id = $1 AND log.seq = entries.seq AND log.observation_id = entries.observation_id
)
DELETE FROM fragment WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);

-- name: find_of_log
-- The fragments of the log entries that are attached to profiles.
-- $2: profile ids
SELECT DISTINCT fragment_id
FROM log
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND fragment_id IS NOT NULL;

-- name: find_begun
-- The fragment of the first log entry that is attached to a profile.
-- $2: profile id
SELECT fragment_id
FROM log
WHERE dataset_id = $1 AND profile_id = $2 AND fragment_id IS NOT NULL
ORDER BY seq
LIMIT 1;

-- name: find_heads
-- The fragments that head the profiles of log entries in a view.
-- $2: view
-- $3: seqs of the entries
-- $4: their observations
-- OFFSET 0 keeps it one look-up by an index for each entry.
SELECT entry.seq, entry.observation_id,
       CASE $2::text WHEN 'own' THEN fragment.own_id ELSE fragment.proven_id END AS head_id
FROM unnest($3::bigint[], $4::uuid[]) AS entry (seq, observation_id)
CROSS JOIN LATERAL (
    SELECT fragment_id FROM log
    WHERE dataset_id = $1 AND seq = entry.seq AND observation_id = entry.observation_id
    OFFSET 0
) AS recorded
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = recorded.fragment_id;

-- name: find_entries
-- The log entries of fragments.
-- $2: fragment ids
SELECT fragment_id, seq, observation_id
FROM fragment_entry
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);
