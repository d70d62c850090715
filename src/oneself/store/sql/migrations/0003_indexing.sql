-- The work of a rule on the profiles that exist: which of them are indexed, and who is at it (wire/cds §9).
CREATE TABLE indexing (
    dataset_id      integer     NOT NULL,
    rule_id         text        NOT NULL,
    state           text        NOT NULL,     -- running, done or cancelled
    after_id        uuid,                     -- profiles up to this id are indexed
    seen            bigint      NOT NULL DEFAULT 0,
    indexed         bigint      NOT NULL DEFAULT 0,
    merged          bigint      NOT NULL DEFAULT 0,
    total           bigint,                   -- an estimate, taken at the start
    started_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    lease_until     timestamptz,              -- a worker that died loses it
    CONSTRAINT indexing_key PRIMARY KEY (dataset_id, rule_id),
    CONSTRAINT indexing_state_known CHECK (state IN ('running', 'done', 'cancelled'))
);
