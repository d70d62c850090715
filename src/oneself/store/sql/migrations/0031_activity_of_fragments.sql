-- The entries of a fragment tell its last activity. An event that changes nothing writes no row of the fragment,
-- and `seq` is the last observation that changed it. The rebuild writes it again.
ALTER TABLE fragment DROP COLUMN active_at;
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
