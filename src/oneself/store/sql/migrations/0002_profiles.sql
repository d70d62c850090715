-- The data plane: the log, which is the truth, and the state that is folded from it (DESIGN §2).
-- Every key begins with the dataset, nothing refers across datasets, no sequence is shared (DESIGN §14).

-- Everything that happened, in the order of (seq, observation_id).
CREATE TABLE log (
    dataset_id      integer     NOT NULL,
    seq             bigint      NOT NULL,
    observation_id  uuid        NOT NULL,
    profile_id      uuid,                     -- the profile it is attached to; null for configuration
    kind            text        NOT NULL,
    name            text,                     -- of an event
    config_version  bigint      NOT NULL,     -- what it was judged by
    content         jsonb       NOT NULL,     -- the observation, or the change of configuration
    plan            jsonb,                    -- null: it only attaches
    redacted        boolean     NOT NULL DEFAULT false, -- something it was judged by was erased: its plan stands
    CONSTRAINT log_key PRIMARY KEY (dataset_id, seq, observation_id)
);
CREATE INDEX log_by_profile ON log (dataset_id, profile_id, seq) WHERE profile_id IS NOT NULL;

-- One row for each profile ever made. An absorbed one points straight at the profile that stands for it.
CREATE TABLE profile (
    dataset_id      integer     NOT NULL,
    profile_id      uuid        NOT NULL,
    survivor_id     uuid,
    reason          text,
    primary_id      text        NOT NULL,
    user_id         text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    active_at       timestamptz NOT NULL,
    seq             bigint      NOT NULL,
    record_values   jsonb       NOT NULL,
    provenance      jsonb       NOT NULL,
    identities      jsonb       NOT NULL,
    consents        jsonb       NOT NULL,
    erased          boolean     NOT NULL DEFAULT false,
    CONSTRAINT profile_key PRIMARY KEY (dataset_id, profile_id),
    CONSTRAINT profile_absorbed_has_reason CHECK ((survivor_id IS NULL) = (reason IS NULL)),
    CONSTRAINT profile_not_its_own_survivor CHECK (survivor_id <> profile_id)
) WITH (fillfactor = 80);
CREATE INDEX profile_by_survivor ON profile (dataset_id, survivor_id) WHERE survivor_id IS NOT NULL;
CREATE INDEX profile_listing ON profile (dataset_id, created_at DESC, profile_id DESC)
    WHERE survivor_id IS NULL AND NOT erased;
-- Two users never share a profile, one user never has two (the last word on DESIGN §4.6).
CREATE UNIQUE INDEX profile_user_once ON profile (dataset_id, user_id)
    WHERE survivor_id IS NULL AND NOT erased AND user_id IS NOT NULL;

-- Who holds an identifier, and since when. The holder is the oldest live claim; younger ones are contested.
CREATE TABLE claim (
    dataset_id      integer     NOT NULL,
    namespace       text        NOT NULL,
    value           text        NOT NULL,
    seq             bigint      NOT NULL,
    profile_id      uuid        NOT NULL,
    trust           text        NOT NULL,
    until_seq       bigint,                   -- null: live
    CONSTRAINT claim_key PRIMARY KEY (dataset_id, namespace, value, seq, profile_id)
);
CREATE INDEX claim_by_profile ON claim (dataset_id, profile_id);

-- Every merge that was carried out, and why.
CREATE TABLE merge (
    dataset_id      integer     NOT NULL,
    absorbed_id     uuid        NOT NULL,
    seq             bigint      NOT NULL,
    survivor_id     uuid        NOT NULL,     -- at that time
    reason          text        NOT NULL,
    namespace       text,
    value           text,
    observation_id  uuid        NOT NULL,
    CONSTRAINT merge_key PRIMARY KEY (dataset_id, absorbed_id, seq)
);
CREATE INDEX merge_by_survivor ON merge (dataset_id, survivor_id);

-- Every merge or claim that was indicated and must not happen, counted for each pair.
CREATE TABLE refusal (
    dataset_id      integer     NOT NULL,
    code            text        NOT NULL,
    profile_id      uuid        NOT NULL,
    other_id        uuid        NOT NULL,     -- the profile itself where no other one is concerned
    namespace       text        NOT NULL,     -- empty where none is concerned
    first_seq       bigint      NOT NULL,
    last_seq        bigint      NOT NULL,
    times           bigint      NOT NULL,
    CONSTRAINT refusal_key PRIMARY KEY (dataset_id, profile_id, other_id, code, namespace)
);
CREATE INDEX refusal_listing ON refusal (dataset_id, last_seq DESC);
CREATE INDEX refusal_by_other ON refusal (dataset_id, other_id);

-- The first answer to a request or event that may be repeated (DESIGN §7, exactly once).
CREATE TABLE answer (
    dataset_id      integer     NOT NULL,
    key             text        NOT NULL,
    seq             bigint      NOT NULL,
    profile_id      uuid        NOT NULL,
    fingerprint     text        NOT NULL,
    status          integer,
    headers         jsonb,
    body            bytea,
    CONSTRAINT answer_key PRIMARY KEY (dataset_id, key)
);
CREATE INDEX answer_by_profile ON answer (dataset_id, profile_id);

-- The configuration that observations are judged by now; its history is in the log.
CREATE TABLE config (
    dataset_id      integer     NOT NULL,
    version         bigint      NOT NULL,
    seq             bigint      NOT NULL,
    document        jsonb       NOT NULL,
    CONSTRAINT config_key PRIMARY KEY (dataset_id)
);
