-- One list of placeholders for every identifier, and invisible characters make no difference any more
-- (core/identity/blocklist.py). What was recorded before is folded by the comparison of its time, so this is a
-- change of the configuration of each dataset, in its log. Claims that exist stay.

WITH changed AS (
    SELECT dataset_id,
           greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                    coalesce(config.seq, 0) + 1,
                    coalesce((SELECT max(log.seq) FROM log WHERE log.dataset_id = dataset.dataset_id), 0) + 1) AS seq,
           coalesce(config.version, 0) + 1 AS version,
           coalesce(config.document, '{}') AS document,
           coalesce(config.document -> 'dataset', '{}') || '{"comparison": 2}' AS settings
    FROM dataset LEFT JOIN config USING (dataset_id)
),
logged AS (
    INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
    SELECT dataset_id, seq, gen_random_uuid(), 'configure', version,
           jsonb_build_object('face', 'upgrade', 'change',
                              jsonb_build_object('type', 'put_dataset_settings', 'settings', settings))
    FROM changed
)
INSERT INTO config (dataset_id, version, seq, document)
SELECT dataset_id, version, seq,
       document || jsonb_build_object('version', version, 'seq', seq, 'dataset', settings)
FROM changed
ON CONFLICT (dataset_id) DO UPDATE
    SET version = excluded.version, seq = excluded.seq, document = excluded.document;
