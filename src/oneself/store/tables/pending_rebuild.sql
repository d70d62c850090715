-- The table `pending_rebuild`: datasets whose state an earlier version folded in another way.

-- name: list
-- Every dataset whose state is outdated, in order.
SELECT dataset_id FROM pending_rebuild ORDER BY dataset_id;

-- name: remove
-- Record that the state of a dataset is what this version folds.
DELETE FROM pending_rebuild WHERE dataset_id = $1;
