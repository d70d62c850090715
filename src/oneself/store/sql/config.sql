-- name: lock_config
-- Let no observation be judged while the configuration ($1, a hash) changes.
SELECT pg_advisory_xact_lock($1);

-- name: find_version
-- The version of a dataset's ($1) configuration.
SELECT coalesce((SELECT version FROM config WHERE dataset_id = $1), 0);

-- name: find_config
-- The configuration of a dataset ($1).
SELECT document::text FROM config WHERE dataset_id = $1;

-- name: find_change_seq
-- An instant later than everything in the dataset's ($1) log.
SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                coalesce((SELECT max(seq) FROM log WHERE dataset_id = $1), 0) + 1);

-- name: put_config
-- Replace the configuration of a dataset ($1) by version $2, recorded at $3, document $4.
INSERT INTO config (dataset_id, version, seq, document) VALUES ($1, $2, $3, $4::text::jsonb)
ON CONFLICT (dataset_id) DO UPDATE
SET version = excluded.version, seq = excluded.seq, document = excluded.document;
