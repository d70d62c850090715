-- The identity server beside us: how an organisation reaches its own, how far its claims are mirrored, and
-- what it reported that no attribute could take (wire/cds §2, §12, §13).

-- An organisation's own identity server; without a row the deployment's settings count. Secrets are sealed.
CREATE TABLE identity_server (
    org_id          integer     NOT NULL,
    url             text        NOT NULL,
    client_id       text        NOT NULL,
    grant_type      text        NOT NULL,
    sync_username   text,
    secrets_sealed  bytea       NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT identity_server_pkey PRIMARY KEY (org_id),
    CONSTRAINT identity_server_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id),
    CONSTRAINT identity_server_grant_known CHECK (grant_type IN ('client_credentials', 'system_app_grant'))
);

-- A request to read an organisation's claims again outlives the process that took it.
CREATE TABLE claim_sync (
    org_id        integer     NOT NULL,
    requested     bigint      NOT NULL DEFAULT 0,   -- counts the events
    done          bigint      NOT NULL DEFAULT 0,   -- the events that the last success answers
    failures      integer     NOT NULL DEFAULT 0,   -- since the last success
    next_at       timestamptz NOT NULL,             -- when to read without being asked, or to try again
    lease_until   timestamptz,                      -- a process that died loses it
    succeeded_at  timestamptz,
    failed_at     timestamptz,
    failure       text,
    CONSTRAINT claim_sync_pkey PRIMARY KEY (org_id),
    CONSTRAINT claim_sync_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id)
);

-- Reported claims that were skipped: by attribute and problem, no values, no persons.
CREATE TABLE skipped_claim (
    dataset_id  integer     NOT NULL,
    path        text        NOT NULL,
    problem     text        NOT NULL,
    times       bigint      NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    CONSTRAINT skipped_claim_pkey PRIMARY KEY (dataset_id, path, problem)
);

-- What attributes were once called by which id is asked of the changes of configuration, never of the whole log.
CREATE INDEX log_of_configuration ON log (dataset_id, seq) WHERE kind = 'configure';
