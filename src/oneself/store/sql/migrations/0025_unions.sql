-- What a fragment that joins a stored profile has to know, so that the other fragments are not read: which one
-- ranks first there, and which claims on an identifier are the oldest.
-- The rebuild writes every row again.
DELETE FROM view_profile;
ALTER TABLE view_profile ADD COLUMN head_id uuid NOT NULL;
DELETE FROM fragment_claim;
ALTER TABLE fragment_claim ADD COLUMN since bigint NOT NULL;
CREATE INDEX fragment_claim_by_age ON fragment_claim (dataset_id, namespace, value, tenure, since, fragment_id)
    WHERE level > 0;
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
