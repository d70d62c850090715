-- The joins of fragments that hang on no identifier: bridges, which an erasure leaves between the neighbours
-- of what it erased, and merges by people.
CREATE TABLE person_join (
    dataset_id          integer   NOT NULL,
    one_id              uuid      NOT NULL,
    other_id            uuid      NOT NULL,
    -- 0: asserted; 1: proven.
    level               smallint  NOT NULL,
    -- The seq of the latest observation without which it would not stand.
    since               bigint    NOT NULL,
    -- `bridge` or `manual`.
    reason              text      NOT NULL,
    CONSTRAINT person_join_key PRIMARY KEY (dataset_id, one_id, other_id, since, reason)
);
CREATE INDEX person_join_by_other ON person_join (dataset_id, other_id);

-- The sources of combined lists have no mark of age any more: the rebuild writes them again.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
