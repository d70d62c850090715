-- The table `write_key`: keys that may only send events to one dataset. $1 is the dataset.

-- name: list
-- Every key, in the order in which they were created.
SELECT key_id, kind, name, allowed_origins, digest, hint, created_at
FROM write_key
WHERE dataset_id = $1
ORDER BY created_at, key_id;

-- name: count
-- The number of keys.
SELECT count(*) FROM write_key WHERE dataset_id = $1;

-- name: put
-- Insert a key; returns no row if the dataset was deleted.
-- $2: key id
-- $3: kind
-- $4: name
-- $5: allowed origins
-- $6: digest
-- $7: hint
-- $8: now
INSERT INTO write_key (dataset_id, key_id, kind, name, allowed_origins, digest, hint, created_at)
SELECT dataset_id, $2, $3, $4, $5, $6, $7, $8 FROM dataset WHERE dataset_id = $1
RETURNING key_id;

-- name: delete
-- Delete a key; returns no row if there is none of this id.
-- $2: key id
DELETE FROM write_key WHERE dataset_id = $1 AND key_id = $2 RETURNING key_id;
