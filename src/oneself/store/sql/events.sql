-- name: find_events
-- Events of these profiles ($2), the last recorded first: at most $10 before a place ($3 seq, $4 observation) and not before a seq ($5), called $6 (null: anything), that happened from $7 to $8, among the last $9 entries of each profile.
-- A profile's entries are a range of (profile_id, seq): said so, no statistics make the planner walk through the log by its other index.
SELECT entry.seq, entry.observation_id, entry.content::text, entry.occurred_at
FROM unnest($2::uuid[]) AS part (profile_id)
CROSS JOIN LATERAL (
    SELECT seq, observation_id, occurred_at, content
    FROM (
        SELECT seq, observation_id, kind, name, content_redacted, content,
               coalesce((content ->> 'occurred_at')::bigint, (content ->> 'received_at')::bigint, seq) AS occurred_at
        FROM log
        WHERE dataset_id = $1 AND profile_id IS NOT NULL AND (profile_id, seq) <= (part.profile_id, $3)
          AND (profile_id, seq) >= (part.profile_id, $5) AND NOT (seq = $3 AND observation_id >= $4)
        ORDER BY profile_id DESC, seq DESC, observation_id DESC
        LIMIT $9
    ) AS walked
    WHERE kind = 'event' AND NOT (content_redacted AND name IS NULL) AND (name = $6 OR $6 IS NULL)
      AND occurred_at BETWEEN $7 AND $8
    LIMIT $10
) AS entry
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $10;

-- name: find_horizon
-- How far such a walk comes: the place of the entry after the last $6 ones of each profile ($2), the latest of these places; nothing if it comes to the end.
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
