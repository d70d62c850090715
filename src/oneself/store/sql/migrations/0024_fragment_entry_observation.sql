-- Several entries of the log may have one seq: which of them belongs to a fragment is told by its observation.
-- The rebuild writes every row again.
DELETE FROM fragment_entry;
ALTER TABLE fragment_entry ADD COLUMN observation_id uuid NOT NULL;
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
