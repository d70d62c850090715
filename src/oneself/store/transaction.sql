-- Locks and clock of a transaction on a dataset.

-- name: plan_once
-- Plan each statement once for the connection, whatever its parameters are, until the transaction ends.
-- Before PostgreSQL 17, a plan that was made for an empty table looks up a list of keys by its first column.
SELECT set_config(
    'plan_cache_mode',
    CASE WHEN current_setting('server_version_num')::integer < 170000 THEN 'auto'
         ELSE 'force_generic_plan' END,
    true
);

-- name: allow_idle
-- Let the transaction be idle for longer than others may.
-- $1: how long, as the setting has it
SELECT set_config('idle_in_transaction_session_timeout', $1, true);

-- name: lock_identifiers
-- Lock the configuration shared, identifiers and request keys exclusively, until the transaction ends.
-- $1: hash of the dataset's configuration
-- $2: hashes, sorted
SELECT pg_advisory_xact_lock_shared($1)
UNION ALL
SELECT pg_advisory_xact_lock(hash) FROM unnest($2::bigint[]) AS hash;

-- name: lock_shared
-- Lock the configuration shared until the transaction ends.
-- $1: hash of the dataset's configuration
SELECT pg_advisory_xact_lock_shared($1);

-- name: lock_one
-- Lock an identifier or a request key exclusively until the transaction ends.
-- $1: hash
SELECT pg_advisory_xact_lock($1);

-- name: lock_config
-- Lock the configuration exclusively until the end of the transaction: nothing is ingested while it changes.
-- $1: hash of the dataset's configuration
SELECT pg_advisory_xact_lock($1);

-- name: read_clock
-- The current instant in µs, the transaction's id and the version of the configuration.
{clock};

-- name: find_outcome
-- Whether a transaction is still running, and whether its first log entry is committed.
-- $2: transaction id
-- $3: seq of the entry
-- $4: observation of the entry
-- Does not use pg_xact_status: after a crash, the id of a transaction that wrote nothing is used again.
SELECT $2::text::xid8 IN (SELECT pg_snapshot_xip(pg_current_snapshot())) AS is_running,
       EXISTS (SELECT FROM log WHERE dataset_id = $1 AND seq = $3 AND observation_id = $4) AS is_committed;
