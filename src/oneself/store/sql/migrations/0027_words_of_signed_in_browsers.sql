-- What a browser says on which somebody has signed in belongs to its user in the view all, and what a server
-- refuses for a person is stored for that person: the log folds to another state.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
