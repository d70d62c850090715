-- The names that a transaction has locked together.

-- name: lock_key
-- Be the only one who takes a wide lock of the dataset, until the transaction ends.
-- $1: hash
SELECT pg_advisory_xact_lock($1);

-- name: put_names
-- Record the names of a wide lock.
-- $1: id
-- $2: hashes of names
INSERT INTO wide_lock_name (lock_id, hash) SELECT $1, unnest($2::bigint[]);

-- name: put
-- Record the wide lock of the dataset, in place of the former one, whose names are deleted.
-- $2: id
WITH former AS (
    DELETE FROM wide_lock_name WHERE lock_id IN (SELECT lock_id FROM wide_lock WHERE dataset_id = $1)
)
INSERT INTO wide_lock (dataset_id, lock_id) VALUES ($1, $2)
ON CONFLICT (dataset_id) DO UPDATE SET lock_id = excluded.lock_id;

-- name: find_locked
-- The wide lock of the dataset, and which of some names it has; no row if there is none.
-- $2: hashes of names
SELECT lock_id, ARRAY (
    SELECT hash FROM wide_lock_name WHERE lock_id = wide_lock.lock_id AND hash = ANY ($2::bigint[])
) AS locked
FROM wide_lock
WHERE dataset_id = $1;

-- name: find_living
-- The wide lock of the dataset, if the transaction that took it is running.
-- $2: the hash that it has locked
SELECT lock_id FROM wide_lock
WHERE dataset_id = $1 AND NOT pg_try_advisory_xact_lock_shared($2);

-- name: delete
-- Delete the wide lock of the dataset, if it is this one, and its names.
-- $2: id
WITH gone AS (
    DELETE FROM wide_lock WHERE dataset_id = $1 AND lock_id = $2
)
DELETE FROM wide_lock_name WHERE lock_id = $2;

-- name: delete_dead
-- Delete the wide lock of the dataset, and its names, if no transaction is running that took it.
-- $2: the hash that such a transaction has locked
WITH gone AS (
    DELETE FROM wide_lock
    WHERE dataset_id = $1 AND pg_try_advisory_xact_lock_shared($2)
    RETURNING lock_id
)
DELETE FROM wide_lock_name WHERE lock_id IN (SELECT lock_id FROM gone);

-- name: wait_for_writers
-- Wait until every transaction has ended that writes to the dataset now.
-- $1: hash of the dataset's configuration
SELECT pg_advisory_xact_lock($1);
