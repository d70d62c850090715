-- Events in the table `log`, for reading. A position is a seq and an observation.

-- name: find_of_profiles
-- Events of profiles, the last recorded first.
-- A profile's entries are a range of (profile_id, seq): so the planner chooses that index without statistics.
-- $2: profile ids
-- $3: seq of the position before which events are read
-- $4: observation of that position
-- $5: the earliest seq
-- $6: name of the events; null for any
-- $7: events that happened from this instant
-- $8: events that happened until this instant
-- $9: entries of each profile to look at
-- $10: events at most
SELECT entry.seq, entry.observation_id, entry.content::text, entry.occurred_at
FROM unnest($2::uuid[]) AS part (profile_id)
CROSS JOIN LATERAL (
    SELECT seq, observation_id, occurred_at, content
    FROM (
        SELECT seq, observation_id, kind, name, content_redacted, content,
               coalesce((content ->> 'occurred_at')::bigint, (content ->> 'received_at')::bigint, seq)
               AS occurred_at
        FROM log
        WHERE dataset_id = $1 AND profile_id IS NOT NULL AND (profile_id, seq) <= (part.profile_id, $3)
          AND (profile_id, seq) >= (part.profile_id, $5) AND NOT (seq = $3 AND observation_id >= $4)
        ORDER BY profile_id DESC, seq DESC, observation_id DESC
        LIMIT $9
    ) AS scanned
    WHERE kind = 'event' AND NOT (content_redacted AND name IS NULL) AND (name = $6 OR $6 IS NULL)
      AND occurred_at BETWEEN $7 AND $8
    LIMIT $10
) AS entry
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $10;

-- name: find_scan_end
-- The position of the latest entry that such a scan does not look at; no row if it looks at every entry.
-- $2: profile ids
-- $3: seq of the position before which entries are read
-- $4: observation of that position
-- $5: the earliest seq
-- $6: entries of each profile to look at
SELECT entry.seq, entry.observation_id
FROM unnest($2::uuid[]) AS part (profile_id)
CROSS JOIN LATERAL (
    SELECT seq, observation_id
    FROM log
    WHERE dataset_id = $1 AND profile_id IS NOT NULL AND (profile_id, seq) <= (part.profile_id, $3)
      AND (profile_id, seq) >= (part.profile_id, $5) AND NOT (seq = $3 AND observation_id >= $4)
    ORDER BY profile_id DESC, seq DESC, observation_id DESC
    LIMIT 1 OFFSET $6
) AS entry
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT 1;

-- name: find_of_fragments
-- Events of fragments, the last recorded first.
-- OFFSET 0 keeps it one look-up by an index for each entry.
-- $2: fragment ids
-- $3: seq of the position before which events are read
-- $4: observation of that position
-- $5: the earliest seq
-- $6: name of the events; null for any
-- $7: events that happened from this instant
-- $8: events that happened until this instant
-- $9: entries of each fragment to look at
-- $10: events at most
SELECT entry.seq, entry.observation_id, entry.content::text, entry.occurred_at
FROM unnest($2::uuid[]) AS part (fragment_id)
CROSS JOIN LATERAL (
    SELECT recorded.*
    FROM (
        SELECT seq, observation_id FROM fragment_entry
        WHERE dataset_id = $1 AND fragment_id = part.fragment_id AND seq <= $3 AND seq >= $5
        ORDER BY seq DESC
        LIMIT $9
    ) AS own
    CROSS JOIN LATERAL (
        SELECT seq, observation_id, kind, name, content_redacted, content,
               coalesce((content ->> 'occurred_at')::bigint, (content ->> 'received_at')::bigint, seq)
               AS occurred_at
        FROM log
        WHERE dataset_id = $1 AND seq = own.seq AND observation_id = own.observation_id
          AND profile_id IS NOT NULL AND NOT (seq = $3 AND observation_id >= $4)
        OFFSET 0
    ) AS recorded
    WHERE kind = 'event' AND NOT (content_redacted AND name IS NULL) AND (name = $6 OR $6 IS NULL)
      AND occurred_at BETWEEN $7 AND $8
    ORDER BY seq DESC
    LIMIT $10
) AS entry
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $10;

-- name: find_scan_end_of_fragments
-- The seq of the latest entry that such a scan does not look at; no row if it looks at every entry.
-- $2: fragment ids
-- $3: seq of the position before which entries are read
-- $4: the earliest seq
-- $5: entries of each fragment to look at
SELECT max(entry.seq) AS seq
FROM unnest($2::uuid[]) AS part (fragment_id)
CROSS JOIN LATERAL (
    SELECT seq FROM fragment_entry
    WHERE dataset_id = $1 AND fragment_id = part.fragment_id AND seq <= $3 AND seq >= $4
    ORDER BY seq DESC
    LIMIT 1 OFFSET $5
) AS entry
HAVING count(*) > 0;

-- name: find_watermark
-- The seq in µs below which nothing can be added to the dataset's log any more.
-- The instant is that of the statement's arrival, before the locks are read. A writer that is idle when its
-- activity is read has committed in between; one whose activity may not be read is given a minute.
-- $1: the lock that the dataset's writers share, and that erasures may have alone
SELECT (least(
    extract(epoch FROM statement_timestamp()),
    extract(epoch FROM (
        SELECT min(coalesce(writer.xact_start, statement_timestamp() - interval '1 minute'))
        FROM pg_locks AS writer_lock
        LEFT JOIN LATERAL pg_stat_get_activity(writer_lock.pid) AS writer ON true
        WHERE writer_lock.locktype = 'advisory' AND writer_lock.mode IN ('ShareLock', 'ExclusiveLock')
          AND writer_lock.granted
          AND writer_lock.objsubid = 1
          AND writer_lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (writer_lock.classid::bigint << 32) | writer_lock.objid::bigint = $1
          AND writer.state IS DISTINCT FROM 'idle'
    ))
) * 1000000)::bigint;

-- name: scan
-- The next entries of a scan from a position, in the direction of the scan.
-- The repository replaces the comments below by those of a direction. An entry that the filter leaves out has
-- its position and nothing else.
-- $2: seq of the position
-- $3: observation of the position
-- $4: seq that limits the scan
-- $5: name of the events; null for any
-- $6: events that happened from this instant
-- $7: events that happened until this instant
-- $8: whether to read what was sent
-- $9: entries at most
SELECT entry.seq, entry.observation_id, entry.content::text, entry.plan::text, survivor.primary_id
FROM (
    SELECT seq, observation_id,
           CASE WHEN matches THEN profile_id END AS profile_id,
           CASE WHEN matches THEN plan END AS plan,
           CASE WHEN matches AND $8 THEN content
                WHEN matches THEN content - '{body,values}'::text[] END AS content
    FROM (
        SELECT seq, observation_id, profile_id, content, plan,
               kind = 'event' AND NOT (content_redacted AND name IS NULL) AND (name = $5 OR $5 IS NULL)
               AND coalesce((content ->> 'occurred_at')::bigint, (content ->> 'received_at')::bigint, seq)
                   BETWEEN $6 AND $7 AS matches
        FROM log
        WHERE dataset_id = $1 AND /* range by $2, $3 and $4 */
        ORDER BY /* order */
        LIMIT $9
    ) AS scanned
) AS entry
LEFT JOIN profile AS attached ON attached.dataset_id = $1 AND attached.profile_id = entry.profile_id
LEFT JOIN profile AS survivor ON survivor.dataset_id = $1
    AND survivor.profile_id = coalesce(attached.survivor_id, attached.profile_id)
ORDER BY /* order */;

-- name: count_of_fragments
-- How many events fragments have.
-- $2: fragment ids
SELECT count(*) FROM log
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]) AND kind = 'event';
