-- The table `join_review`: datasets whose profiles of the view `proven` a changed setting may join.

-- name: start
-- Let the profiles of a dataset be looked at from the first one on.
-- $2: the seq of the change
INSERT INTO join_review (dataset_id, seq) VALUES ($1, $2)
ON CONFLICT (dataset_id) DO UPDATE SET seq = excluded.seq, after_id = excluded.after_id;

-- name: try_lock
-- Whether nobody else reviews the dataset until the transaction ends.
-- $1: the key of the lock
SELECT pg_try_advisory_xact_lock($1);

-- name: find
-- How far the dataset is.
SELECT seq, after_id FROM join_review WHERE dataset_id = $1;

-- name: advance
-- Record how far the dataset is, unless the settings have changed since.
-- $2: the seq of the change
-- $3: the last profile
UPDATE join_review SET after_id = $3 WHERE dataset_id = $1 AND seq = $2;

-- name: finish
-- Record that the dataset is done, unless the settings have changed since.
-- $2: the seq of the change
DELETE FROM join_review WHERE dataset_id = $1 AND seq = $2;

-- name: list_datasets
-- The datasets that are to be reviewed.
SELECT dataset_id FROM join_review ORDER BY dataset_id;
