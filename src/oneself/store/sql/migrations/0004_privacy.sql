-- What is left of the identifiers of erased people: enough to know them again, not to read them (DESIGN §8).
CREATE TABLE tombstone (
    dataset_id      integer     NOT NULL,
    digest          bytea       NOT NULL,     -- keyed; see service/tombstones
    erased_at       timestamptz NOT NULL,
    CONSTRAINT tombstone_key PRIMARY KEY (dataset_id, digest)
);

-- The few entries of the log that are read by their kind.
CREATE INDEX log_by_rare_kind ON log (dataset_id, kind, seq DESC) WHERE kind IN ('configure', 'erase');
