-- The table `config`: the current configuration of a dataset; its history is in the log.

-- name: find_version
-- The version of the configuration.
SELECT coalesce((SELECT version FROM config WHERE dataset_id = $1), 0);

-- name: find
-- The stored document of the configuration.
SELECT document::text FROM config WHERE dataset_id = $1;

-- name: put
-- Replace the configuration.
-- $2: version
-- $3: seq
-- $4: document
INSERT INTO config (dataset_id, version, seq, document) VALUES ($1, $2, $3, $4::text::jsonb)
ON CONFLICT (dataset_id) DO UPDATE
SET version = excluded.version, seq = excluded.seq, document = excluded.document;
