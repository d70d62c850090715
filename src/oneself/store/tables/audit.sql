-- The audit trail: in the table `log`, configuration changes, erasures, verifications, splits and merges by
-- hand; in the table `audit_entry`, what belongs to no dataset, and the configuration changes of deleted
-- datasets. $1 is the organisation.

-- name: list
-- A page of what was done in all datasets of an organisation, the last first.
-- $2: the first seq
-- $3: the last seq
-- $4: rows at most
-- $5: rows before the page
SELECT entry.dataset, entry.seq, entry.observation_id, entry.kind, entry.config_version, entry.content::text
FROM (
SELECT dataset.name AS dataset, entry.seq, entry.observation_id, entry.kind, entry.config_version,
       entry.content
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
UNION ALL
(SELECT coalesce(content->>'dataset', ''), seq, entry_id, kind,
        coalesce((content->>'version')::integer, 0), content
 FROM audit_entry
 WHERE org_id = $1 AND seq BETWEEN $2 AND $3
 ORDER BY seq DESC
 LIMIT $4::integer + $5::integer)
) AS entry
ORDER BY entry.seq DESC, entry.observation_id DESC
LIMIT $4::integer OFFSET $5::integer;

-- name: put
-- Insert an entry that belongs to no dataset.
-- $2: seq
-- $3: its id
-- $4: kind
-- $5: content
INSERT INTO audit_entry (org_id, seq, entry_id, kind, content) VALUES ($1, $2, $3, $4, $5::text::jsonb);

-- name: copy_configuration
-- Copy what was configured in a dataset, which is deleted next.
-- The change itself stays behind, because blocked values are in it; its kinds are copied.
-- $2: the dataset
-- $3: its name
INSERT INTO audit_entry (org_id, seq, entry_id, kind, content)
SELECT $1, seq, observation_id, kind,
       content - 'change' || jsonb_build_object(
           'dataset', $3::text,
           'version', config_version,
           'changes', CASE WHEN content->'change' ? 'changes'
                           THEN jsonb_path_query_array(content, '$.change.changes[*].type')
                           ELSE jsonb_path_query_array(content, '$.change.type') END
       )
FROM log
WHERE dataset_id = $2 AND kind = 'configure';
