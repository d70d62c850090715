-- A reindexing ends no claim that was made after the stored value, and renews none that has ended since: the log
-- folds to another state where a job has indexed values.
INSERT INTO pending_rebuild (dataset_id)
SELECT dataset_id FROM dataset
WHERE EXISTS (SELECT FROM log WHERE log.dataset_id = dataset.dataset_id AND log.kind = 'match')
ON CONFLICT DO NOTHING;
