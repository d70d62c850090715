-- name: find_datasets
-- Every dataset that has a log or a state, in order.
SELECT dataset_id FROM oneself.log
UNION SELECT dataset_id FROM oneself.profile
UNION SELECT dataset_id FROM oneself.claim
UNION SELECT dataset_id FROM oneself.config
ORDER BY dataset_id;

-- name: find_entry_count
-- How long the log of every dataset together is.
SELECT count(*) FROM oneself.log;
