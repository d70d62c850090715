-- A setting that admits more joins holds for what is stored (docs/decisions/0034-changed-guards.md): one row for
-- each dataset whose profiles of the view `proven` have yet to be looked at since such a change.
CREATE TABLE join_review (
    dataset_id          integer   NOT NULL CONSTRAINT join_review_key PRIMARY KEY,
    -- The place of the change in the log.
    seq                 bigint    NOT NULL,
    -- The profiles up to this one are done.
    after_id            uuid      NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);

-- An erasure finds the reviews and the reindexing of what it folds again.
CREATE INDEX log_of_named_fragments ON log USING gin ((content -> 'fragment_ids')) WHERE kind IN ('match', 'review');

-- The settings of before hold for what was stored then as well. Configurations know when guards were other ones.
INSERT INTO join_review (dataset_id, seq) SELECT dataset_id, 0 FROM dataset;
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
