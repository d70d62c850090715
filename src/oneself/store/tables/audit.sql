-- The audit trail in the table `log`: configuration changes, erasures, verifications, splits and merges by
-- hand. $1 is the organisation.

-- name: list
-- A page of what was done in all datasets of an organisation, the last first.
-- $2: the first seq
-- $3: the last seq
-- $4: rows at most
-- $5: rows before the page
SELECT dataset.name AS dataset, entry.seq, entry.observation_id, entry.kind, entry.config_version,
       entry.content::text
FROM dataset
CROSS JOIN unnest(ARRAY['configure', 'erase', 'claims', 'split', 'merge']) AS audited (kind)
CROSS JOIN LATERAL (
    (SELECT seq, observation_id, kind, config_version, content FROM log
     WHERE dataset_id = dataset.dataset_id AND kind = audited.kind AND kind IN ('configure', 'erase')
       AND seq BETWEEN $2 AND $3
     ORDER BY seq DESC
     LIMIT $4::integer + $5::integer)
    UNION ALL
    (SELECT seq, observation_id, kind, config_version, content FROM log
     WHERE dataset_id = dataset.dataset_id AND kind = audited.kind
       AND kind IN ('split', 'merge')
       AND seq BETWEEN $2 AND $3
     ORDER BY seq DESC
     LIMIT $4::integer + $5::integer)
    UNION ALL
    (SELECT seq, observation_id, kind, config_version, content FROM log
     WHERE dataset_id = dataset.dataset_id AND kind = audited.kind
       AND kind = 'claims' AND name = 'verification'
       AND seq BETWEEN $2 AND $3
     ORDER BY seq DESC
     LIMIT $4::integer + $5::integer)
) AS entry
WHERE dataset.org_id = $1
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $4::integer OFFSET $5::integer;
