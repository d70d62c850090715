-- The identity attributes of a user's own fragment go before what others say, whatever the order. The rebuild
-- computes the views again.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
