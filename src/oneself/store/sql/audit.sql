-- name: list_entries
-- Changes of configuration and erasures in all datasets of an organisation ($1) from a seq ($2) to another ($3), the last first: $4 of them after the first $5.
SELECT dataset.name AS dataset, entry.seq, entry.observation_id, entry.kind, entry.config_version, entry.content::text
FROM dataset
CROSS JOIN unnest(ARRAY['configure', 'erase']) AS wanted (kind)
CROSS JOIN LATERAL (
    SELECT seq, observation_id, kind, config_version, content FROM log
    WHERE dataset_id = dataset.dataset_id AND kind = wanted.kind AND kind IN ('configure', 'erase')
      AND seq BETWEEN $2 AND $3
    ORDER BY seq DESC
    LIMIT $4::integer + $5::integer
) AS entry
WHERE dataset.org_id = $1
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $4::integer OFFSET $5::integer;
