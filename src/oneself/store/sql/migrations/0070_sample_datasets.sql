-- Datasets with sample data, which can be removed again with everything in them.
CREATE TABLE sample_dataset (
    dataset_id integer     NOT NULL,
    org_id     integer     NOT NULL,
    name       text        NOT NULL,
    state      text        NOT NULL,
    -- Entries of the log when the removal began, and how many are deleted.
    total      bigint      NOT NULL DEFAULT 0,
    deleted    bigint      NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL,
    CONSTRAINT sample_dataset_pkey PRIMARY KEY (dataset_id),
    CONSTRAINT sample_dataset_state_known CHECK (state IN ('adding', 'complete', 'removing', 'removed'))
);
-- An organisation has one.
CREATE UNIQUE INDEX sample_dataset_once ON sample_dataset (org_id) WHERE state IN ('adding', 'complete');
