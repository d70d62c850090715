-- What the identity system asks of a dataset before it is changed or removed (wire/interactions §3).

-- name: list_datasets
-- The datasets of organisation $1.
SELECT dataset_id FROM dataset WHERE org_id = $1;

-- name: list_configured
-- The datasets of organisation $1, each with its configuration.
SELECT dataset.name, dataset.created_at, config.document::text AS document
  FROM dataset LEFT JOIN config USING (dataset_id) WHERE dataset.org_id = $1;

-- name: make_dataset
-- Give organisation $1 the dataset $2 at $3; nothing comes back if it has it.
INSERT INTO dataset (org_id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT dataset_name_key DO NOTHING
RETURNING dataset_id;

-- name: find_use
-- Whether anything but configuration ever happened in a dataset ($1).
SELECT EXISTS (SELECT FROM profile WHERE dataset_id = $1)
    OR EXISTS (SELECT FROM log WHERE dataset_id = $1 AND kind <> 'configure');

-- name: delete_dataset
-- Remove a dataset ($1) that was never used, with its configuration and the history of it.
WITH configuration AS (DELETE FROM config WHERE dataset_id = $1),
     history AS (DELETE FROM log WHERE dataset_id = $1),
     work AS (DELETE FROM indexing WHERE dataset_id = $1)
DELETE FROM dataset WHERE dataset_id = $1;

-- name: holds_people
-- Whether a dataset ($1) holds any profile.
SELECT EXISTS (SELECT FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased);

-- name: holds_value
-- Whether any profile of a dataset ($1) holds a value under a key ($2 scope, $3 key).
SELECT EXISTS (SELECT FROM profile
                WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased AND (record_values -> $2) ? $3);

-- name: holds_identity
-- Whether any profile of the datasets $1 holds an identifier of a namespace ($2).
SELECT EXISTS (SELECT FROM claim
                WHERE dataset_id = ANY ($1::integer[]) AND namespace = $2 AND until_seq IS NULL);
