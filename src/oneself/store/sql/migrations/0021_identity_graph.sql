-- The identity graph: fragments, the browsers and identifiers that lead to them, and the views `own` and
-- `proven` (docs/concepts/trust.md). The table `profile` has the view `all`: what the business believes.

-- One row per fragment. What several fragments amount to in a view is in `view_profile`.
CREATE TABLE fragment (
    dataset_id          integer   NOT NULL,
    fragment_id         uuid      NOT NULL,
    -- The profile that its first observation is attached to.
    believed_id         uuid      NOT NULL,
    -- `browser`, `server`, `application` or `user`.
    origin              text      NOT NULL,
    owner_id            text,
    reported_id         text,
    -- A digest of who said exactly which identifiers; null: it does not belong to a set of identifiers.
    exact_key           bytea,
    -- Claims, writes, choices and whatever else the fold keeps, but for `seq` and `active_at`.
    state               jsonb     NOT NULL,
    -- The fragments that head the profiles which it belongs to in the two views.
    own_id              uuid      NOT NULL,
    proven_id           uuid      NOT NULL,
    -- What it amounts to alone. Instants are in µs since 1970.
    record_values       jsonb     NOT NULL,
    updated_at          bigint    NOT NULL,
    -- When the profile in the view `proven` was created, if this fragment heads it; else the fragment itself.
    created_at          bigint    NOT NULL,
    -- Its last observation.
    seq                 bigint    NOT NULL,
    -- In µs since 1970; 0: never.
    active_at           bigint    NOT NULL,
    CONSTRAINT fragment_key PRIMARY KEY (dataset_id, fragment_id)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX fragment_of_user ON fragment (dataset_id, owner_id)
    WHERE origin = 'user' AND owner_id IS NOT NULL;
CREATE INDEX fragment_by_owner ON fragment (dataset_id, owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX fragment_by_reported_user ON fragment (dataset_id, reported_id) WHERE reported_id IS NOT NULL;
CREATE UNIQUE INDEX fragment_exact ON fragment (dataset_id, exact_key) WHERE exact_key IS NOT NULL;
CREATE INDEX fragment_by_believed ON fragment (dataset_id, believed_id);
CREATE INDEX fragment_by_own ON fragment (dataset_id, own_id) WHERE own_id <> fragment_id;
CREATE INDEX fragment_by_proven ON fragment (dataset_id, proven_id) WHERE proven_id <> fragment_id;
CREATE INDEX fragment_listed ON fragment (dataset_id, created_at, fragment_id) WHERE proven_id = fragment_id;

-- Which fragments ever had a claim on an identifier.
CREATE TABLE fragment_claim (
    dataset_id          integer   NOT NULL,
    namespace           text      NOT NULL,
    value               text      NOT NULL,
    tenure              integer   NOT NULL,
    fragment_id         uuid      NOT NULL,
    -- 0: asserted only; 1: proven; 2: verified.
    level               smallint  NOT NULL,
    CONSTRAINT fragment_claim_key PRIMARY KEY (dataset_id, namespace, value, tenure, fragment_id)
);
CREATE INDEX fragment_claim_proven ON fragment_claim (dataset_id, namespace, lower(value)) WHERE level > 0;
CREATE INDEX fragment_claim_of_fragment ON fragment_claim (dataset_id, fragment_id);

-- Which fragments have the words of one tracker or anonymous id.
CREATE TABLE browser (
    dataset_id          integer   NOT NULL,
    namespace           text      NOT NULL,
    value               text      NOT NULL,
    present             uuid[]    NOT NULL,
    current             uuid,
    every               uuid[]    NOT NULL,
    reported_user       text,
    CONSTRAINT browser_key PRIMARY KEY (dataset_id, namespace, value)
);

-- The seqs at which an identifier changed hands.
CREATE TABLE identifier_transfer (
    dataset_id          integer   NOT NULL,
    namespace           text      NOT NULL,
    value               text      NOT NULL,
    transferred_at      bigint[]  NOT NULL,
    CONSTRAINT identifier_transfer_key PRIMARY KEY (dataset_id, namespace, value)
);

-- The provider claims of users that somebody has verified.
CREATE TABLE verified_claim (
    dataset_id          integer   NOT NULL,
    user_id             text      NOT NULL,
    path                text[]    NOT NULL,
    value               text      NOT NULL,
    since               bigint    NOT NULL,
    identifiers         jsonb     NOT NULL,
    CONSTRAINT verified_claim_key PRIMARY KEY (dataset_id, user_id, path)
);
CREATE INDEX verified_claim_by_value ON verified_claim (dataset_id, path, lower(value));

-- What two or more fragments amount to in a view.
CREATE TABLE view_profile (
    dataset_id          integer   NOT NULL,
    -- `own` or `proven`.
    view                text      NOT NULL,
    profile_id          uuid      NOT NULL,
    user_id             text,
    created_at          bigint    NOT NULL,
    updated_at          bigint    NOT NULL,
    record_values       jsonb     NOT NULL,
    provenance          jsonb     NOT NULL,
    choices             jsonb     NOT NULL,
    -- Profile id, reason and seq of each, in the order of absorption.
    absorbed            jsonb     NOT NULL,
    CONSTRAINT view_profile_key PRIMARY KEY (dataset_id, view, profile_id)
) WITH (fillfactor = 80);

-- Which fragment each observation belongs to.
CREATE TABLE fragment_entry (
    dataset_id          integer   NOT NULL,
    fragment_id         uuid      NOT NULL,
    -- Of the log entry.
    seq                 bigint    NOT NULL,
    -- When it made the person active, in µs since 1970; null: it did not.
    active_at           bigint,
    CONSTRAINT fragment_entry_key PRIMARY KEY (dataset_id, fragment_id, seq)
);
CREATE INDEX fragment_entry_by_seq ON fragment_entry (dataset_id, seq);

INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
