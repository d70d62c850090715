-- Of joins that are equally strong and old, what a server said of people goes before what it tied to a
-- browser; and a verification is evidence for the verified value alone: the log folds to another state.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
