-- The ids of the fragments that one observation begins differ in their first digits, which are primary ids: the log
-- folds to another state.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
