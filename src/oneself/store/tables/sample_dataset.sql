-- The table `sample_dataset`: datasets with sample data. $1 is the organisation, or the dataset where a
-- statement says so.

-- name: find
-- The sample datasets of an organisation, the newest first.
SELECT dataset_id, name, state, total, deleted
FROM sample_dataset
WHERE org_id = $1
ORDER BY dataset_id DESC;

-- name: put
-- Begin to add sample data to a dataset; returns no row if the organisation has sample data already.
-- $2: the dataset
-- $3: its name
INSERT INTO sample_dataset (dataset_id, org_id, name, state, changed_at)
SELECT $2, $1, $3, 'adding', now()
WHERE NOT EXISTS (SELECT FROM sample_dataset WHERE org_id = $1 AND state IN ('adding', 'complete'))
RETURNING dataset_id;

-- name: complete
-- Record that everything was added.
-- $1: the dataset
UPDATE sample_dataset SET state = 'complete', changed_at = now() WHERE dataset_id = $1 AND state = 'adding';

-- name: start_removal
-- Let a sample dataset be removed; returns no row if it is none.
-- $2: the dataset
UPDATE sample_dataset
SET state = 'removing', changed_at = now(),
    total = (SELECT count(*) FROM log WHERE log.dataset_id = sample_dataset.dataset_id)
WHERE org_id = $1 AND dataset_id = $2 AND state IN ('adding', 'complete')
RETURNING dataset_id;

-- name: detach
-- Delete a dataset with its configuration, so that nobody finds it any more.
-- $1: the dataset
WITH rebuilds AS (DELETE FROM pending_rebuild WHERE dataset_id = $1),
     configuration AS (DELETE FROM config WHERE dataset_id = $1),
     write_keys AS (DELETE FROM write_key WHERE dataset_id = $1),
     webhooks AS (DELETE FROM webhook WHERE dataset_id = $1)
DELETE FROM dataset WHERE dataset_id = $1;

-- name: lock_due
-- The oldest sample dataset of which rows are to be deleted, if no other process deletes them now.
-- $1: for how long, in seconds, another process may still have written to a removed one
SELECT dataset_id, state
FROM sample_dataset
WHERE state = 'removing' OR (state = 'removed' AND changed_at < now() - make_interval(secs => $1))
ORDER BY dataset_id
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: delete_rows
-- Delete some rows of a dataset from a table.
-- The repository replaces the marks by the name of the table.
-- $1: the dataset
-- $2: rows at most
DELETE FROM /* table */
WHERE ctid = ANY (ARRAY(SELECT ctid FROM /* table */ WHERE dataset_id = $1 LIMIT $2));

-- name: put_progress
-- Record how many entries of the log are deleted.
-- $1: the dataset
-- $2: how many more
UPDATE sample_dataset SET deleted = deleted + $2 WHERE dataset_id = $1;

-- name: finish_removal
-- Record that everything is deleted.
-- $1: the dataset
UPDATE sample_dataset SET state = 'removed', changed_at = now() WHERE dataset_id = $1;

-- name: forget
-- Forget a removed dataset.
-- $1: the dataset
DELETE FROM sample_dataset WHERE dataset_id = $1;
