-- What a browser says of which a server said who it is belongs to that profile in the view all: the log folds to
-- another state.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
