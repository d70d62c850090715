-- name: find_horizon
-- The seq below which a dataset's log has everything that it will ever have ($1 is the lock that its writers share), in µs.
-- The instant is that of the statement's arrival, before anybody looks at the locks. Whoever is idle by the time that
-- their activity is read has committed in between; whose activity may not be read is given a minute.
SELECT (least(
    extract(epoch FROM statement_timestamp()),
    extract(epoch FROM (
        SELECT min(coalesce(writer.xact_start, statement_timestamp() - interval '1 minute'))
        FROM pg_locks AS held
        LEFT JOIN LATERAL pg_stat_get_activity(held.pid) AS writer ON true
        WHERE held.locktype = 'advisory' AND held.mode = 'ShareLock' AND held.granted AND held.objsubid = 1
          AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (held.classid::bigint << 32) | held.objid::bigint = $1
          AND writer.state IS DISTINCT FROM 'idle'
    ))
) * 1000000)::bigint;

-- name: walk
-- The next entries ($9 at most) of a walk beyond a place ($2 seq, $3 observation) and not beyond a seq ($4), in its order.
-- service/tail.py fills in /* beyond */ and /* order */ with one of the two directions below.
-- What is no event called $5 (null: anything) that happened from $6 to $7 has its place and nothing else; what was sent
-- comes along only if $8 says so.
SELECT entry.seq, entry.observation_id, entry.content::text, entry.plan::text, survivor.primary_id
FROM (
    SELECT seq, observation_id,
           CASE WHEN is_wanted THEN profile_id END AS profile_id,
           CASE WHEN is_wanted THEN plan END AS plan,
           CASE WHEN is_wanted AND $8 THEN content
                WHEN is_wanted THEN content - '{body,values}'::text[] END AS content
    FROM (
        SELECT seq, observation_id, profile_id, content, plan,
               kind = 'event' AND NOT (content_redacted AND name IS NULL) AND (name = $5 OR $5 IS NULL)
               AND coalesce((content ->> 'occurred_at')::bigint, (content ->> 'received_at')::bigint, seq) BETWEEN $6 AND $7 AS is_wanted
        FROM log
        WHERE dataset_id = $1 AND /* beyond */
        ORDER BY /* order */
        LIMIT $9
    ) AS walked
) AS entry
LEFT JOIN profile AS attached ON attached.dataset_id = $1 AND attached.profile_id = entry.profile_id
LEFT JOIN profile AS survivor ON survivor.dataset_id = $1
    AND survivor.profile_id = coalesce(attached.survivor_id, attached.profile_id)
ORDER BY /* order */;

-- name: beyond_on
-- After the place and before the seq.
(seq, observation_id) > ($2, $3) AND seq < $4;

-- name: order_on
-- The oldest first.
seq, observation_id;

-- name: beyond_back
-- Before the place and not before the seq.
(seq, observation_id) < ($2, $3) AND seq >= $4;

-- name: order_back
-- The newest first.
seq DESC, observation_id DESC;
