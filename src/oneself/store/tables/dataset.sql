-- The table `dataset`. $1 is the organisation, or the dataset where a statement says so.

-- name: list_ids
-- The keys of the datasets of an organisation.
SELECT dataset_id FROM dataset WHERE org_id = $1 ORDER BY dataset_id;

-- name: list_configured
-- The datasets of an organisation, each with its configuration.
SELECT dataset.name, dataset.created_at, config.document::text AS document
FROM dataset
LEFT JOIN config USING (dataset_id)
WHERE dataset.org_id = $1;

-- name: put
-- Insert a dataset; returns no row if the organisation has one of this name.
-- $2: name
-- $3: now
INSERT INTO dataset (org_id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT dataset_name_key DO NOTHING
RETURNING dataset_id;

-- name: is_used
-- Whether anything but configuration ever happened in a dataset.
-- $1: the dataset
-- What users verified in another dataset did not happen in this one.
SELECT EXISTS (SELECT FROM profile WHERE dataset_id = $1)
    OR EXISTS (SELECT FROM log WHERE dataset_id = $1 AND kind NOT IN ('configure', 'verification', 'review'));

-- name: delete
-- Delete an unused dataset with its configuration, history and write keys; returns no row if there is none.
-- $1: the dataset
WITH configuration AS (DELETE FROM config WHERE dataset_id = $1),
     history AS (DELETE FROM log WHERE dataset_id = $1),
     jobs AS (DELETE FROM reindex_job WHERE dataset_id = $1),
     write_keys AS (DELETE FROM write_key WHERE dataset_id = $1),
     reviews AS (DELETE FROM join_review WHERE dataset_id = $1),
     verified AS (DELETE FROM verified_claim WHERE dataset_id = $1),
     transfers AS (DELETE FROM identifier_transfer WHERE dataset_id = $1),
     queued AS (DELETE FROM verification_queue WHERE dataset_id = $1),
     changes AS (DELETE FROM profile_change WHERE dataset_id = $1),
     floors AS (DELETE FROM profile_change_floor WHERE dataset_id = $1),
     positions AS (DELETE FROM broker_position WHERE dataset_id = $1),
     webhooks AS (DELETE FROM webhook WHERE dataset_id = $1)
DELETE FROM dataset WHERE dataset_id = $1 RETURNING dataset_id;

-- name: holds_identity
-- Whether any profile of these datasets holds an identifier of a namespace.
-- $1: the datasets
-- $2: namespace
SELECT EXISTS (SELECT FROM claim
               WHERE dataset_id = ANY ($1::integer[]) AND namespace = $2 AND until_seq IS NULL);
