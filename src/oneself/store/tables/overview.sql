-- Numbers about a dataset as a whole. Most of them read an index of it from end to end, or the table.

-- name: set_limits
-- How long a statement of this transaction may take, with as much memory as sorts of whole datasets need.
-- $1: the time in ms
SELECT set_config('statement_timeout', $1::text, true), set_config('work_mem', '64MB', true);

-- name: count_by_minute
-- How many observations each interface brought in each minute, of the newest entries since an instant.
-- What administrators and jobs did is not among them.
-- $2: the earliest seq
-- $3: entries at most
SELECT interface, recorded_at / 60000000 AS minute, count(*) AS number
FROM (
    SELECT seq AS recorded_at, kind, content ->> 'face' AS interface
    FROM log
    WHERE dataset_id = $1 AND seq >= $2
    ORDER BY seq DESC, observation_id DESC
    LIMIT $3
) AS recent
WHERE interface IS NOT NULL AND kind IN ('event', 'write', 'sign_in', 'sign_out', 'consent', 'claims')
GROUP BY interface, minute
ORDER BY minute, interface;

-- name: find_earliest
-- The seq of the first entry that such a count leaves out; no row if it has every entry.
-- $2: the earliest seq
-- $3: entries that it counts at most
SELECT seq FROM log
WHERE dataset_id = $1 AND seq >= $2
ORDER BY seq DESC, observation_id DESC
LIMIT 1 OFFSET $3;

-- name: count_profiles
-- How many profiles the view `all` has: with a user, with nobody's user but an identity, anonymous.
SELECT count(*) FILTER (WHERE user_id IS NOT NULL) AS identified,
       count(*) FILTER (WHERE user_id IS NULL AND identities <> '{}') AS named,
       count(*) FILTER (WHERE user_id IS NULL AND identities = '{}') AS anonymous
FROM profile
WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased;

-- name: count_sizes
-- How many profiles of the view `all` consist of how many parts, and some of the large ones.
-- $2: the parts of a large one at least
-- $3: large ones of each size at most
SELECT parts, count(*) AS number,
       (array_agg(profile_id ORDER BY profile_id) FILTER (WHERE parts >= $2))[1:$3] AS large
FROM (
    SELECT coalesce(absorbed.survivor_id, fragment.believed_id) AS profile_id, count(*) AS parts
    FROM fragment
    LEFT JOIN profile AS absorbed ON absorbed.dataset_id = $1 AND absorbed.survivor_id IS NOT NULL
        AND absorbed.profile_id = fragment.believed_id
    WHERE fragment.dataset_id = $1
    GROUP BY 1
) AS sized
GROUP BY parts
ORDER BY parts DESC;

-- name: count_parts
-- How many parts there are, and of how many of them the view `proven` makes profiles.
SELECT (SELECT count(*) FROM fragment WHERE dataset_id = $1) AS parts,
       (SELECT count(*) FROM fragment WHERE dataset_id = $1 AND proven_id = fragment_id) AS proven;

-- name: count_merges
-- How many profiles each reason merged into others.
SELECT reason, count(*) AS number FROM merge WHERE dataset_id = $1 GROUP BY reason;

-- name: find_shared
-- The identifiers that the most parts have, each with one of these parts.
-- $2: how many parts at least
-- $3: rows at most
SELECT namespace, count(DISTINCT fragment_id) AS parts, min(fragment_id::text)::uuid AS fragment_id
FROM fragment_claim
WHERE dataset_id = $1
GROUP BY namespace, value
HAVING count(DISTINCT fragment_id) >= $2
ORDER BY parts DESC, namespace, value
LIMIT $3;

-- name: find_refused
-- For each code of refusals that occurred often, how often, and the last profile that it concerned.
-- $2: how often at least
SELECT code, sum(times)::bigint AS number,
       (array_agg(profile_id ORDER BY last_seq DESC, profile_id))[1] AS profile_id
FROM refusal
WHERE dataset_id = $1
GROUP BY code
HAVING sum(times) >= $2
ORDER BY number DESC, code;
