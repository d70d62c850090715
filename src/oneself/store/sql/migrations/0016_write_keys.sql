-- Keys that may only send events to one dataset (wire/interactions §4).

-- A key is 256 random bits, so its SHA-256 digest needs no salt. The digest is unique across datasets: a key
-- alone names its dataset.
CREATE TABLE write_key (
    dataset_id       integer     NOT NULL,
    key_id           uuid        NOT NULL,
    kind             text        NOT NULL,
    name             text        NOT NULL,
    allowed_origins  text[]      NOT NULL,
    digest           bytea       NOT NULL,
    hint             text        NOT NULL,
    created_at       timestamptz NOT NULL,
    CONSTRAINT write_key_pkey PRIMARY KEY (dataset_id, key_id),
    CONSTRAINT write_key_digest_key UNIQUE (digest),
    CONSTRAINT write_key_dataset_fkey FOREIGN KEY (dataset_id) REFERENCES dataset (dataset_id),
    CONSTRAINT write_key_kind_known CHECK (kind IN ('server', 'browser')),
    -- Only pages have an origin.
    CONSTRAINT write_key_origins_by_kind CHECK (kind = 'browser' OR allowed_origins = '{}')
);
