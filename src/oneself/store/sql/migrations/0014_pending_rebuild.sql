-- The datasets whose state an earlier version folded in another way. The upgrade rebuilds them from the log before
-- anything is served, and removes each row in the transaction that replaces the state of its dataset.
--
-- A migration that changes what the log folds to runs the INSERT below again, with ON CONFLICT DO NOTHING.
CREATE TABLE pending_rebuild (
    dataset_id  integer  NOT NULL,
    CONSTRAINT pending_rebuild_pkey PRIMARY KEY (dataset_id)
);

-- 0010 gave claims an age, which repeated values of earlier profiles do not have.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset;
