-- The directory: who the tenants are, who may call us, and who signs in (DESIGN §8, §10).
--
-- Every table but organisation and dataset is keyed by organisation first, so that no statement can
-- reach across tenants and the schema distributes by tenant. Secrets are never stored readable:
-- passwords and client secrets as argon2 hashes, codes, refresh tokens and session ids as SHA-256
-- digests of random values, private keys sealed with the deployment's secret key.

CREATE TABLE organisation (
    org_id      integer     GENERATED ALWAYS AS IDENTITY,
    handle      text        NOT NULL,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT organisation_pkey PRIMARY KEY (org_id),
    CONSTRAINT organisation_handle_key UNIQUE (handle),
    CONSTRAINT organisation_handle_form CHECK (handle ~ '^[a-z0-9][a-z0-9._-]{0,62}$')
);

CREATE TABLE dataset (
    dataset_id  integer     GENERATED ALWAYS AS IDENTITY,
    org_id      integer     NOT NULL,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT dataset_pkey PRIMARY KEY (dataset_id),
    CONSTRAINT dataset_name_key UNIQUE (org_id, name),
    CONSTRAINT dataset_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id)
);

CREATE TABLE application (
    org_id                    integer     NOT NULL,
    client_id                 text        NOT NULL,
    name                      text        NOT NULL,
    kind                      text        NOT NULL,
    secret_hash               text,
    redirect_uris             text[]      NOT NULL DEFAULT '{}',
    post_logout_redirect_uris text[]      NOT NULL DEFAULT '{}',
    permissions               text[]      NOT NULL DEFAULT '{}',
    created_at                timestamptz NOT NULL,
    updated_at                timestamptz NOT NULL,
    CONSTRAINT application_pkey PRIMARY KEY (org_id, client_id),
    CONSTRAINT application_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id),
    CONSTRAINT application_kind_known CHECK (kind IN ('machine', 'web', 'browser')),
    -- A browser application cannot keep a secret; the other two kinds must have one.
    CONSTRAINT application_secret_by_kind CHECK ((kind = 'browser') = (secret_hash IS NULL))
);

-- An end user of the embedded directory; claims are what identity_attributes mirror.
CREATE TABLE account (
    org_id         integer     NOT NULL,
    user_id        uuid        NOT NULL,
    username       text        NOT NULL,
    username_key   text        NOT NULL,
    password_hash  text        NOT NULL,
    claims         jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (org_id, user_id),
    CONSTRAINT account_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id),
    CONSTRAINT account_username_key UNIQUE (org_id, username_key)
);

-- A person who works in the console; deliberately another table than account: a visitor who
-- registers can never become an administrator by a wrong flag.
CREATE TABLE administrator (
    org_id         integer     NOT NULL,
    username       text        NOT NULL,
    password_hash  text        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT administrator_pkey PRIMARY KEY (org_id, username),
    CONSTRAINT administrator_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id)
);

-- The newest key that is not retired signs; a retired one stays in the JWKS until its last token is past.
CREATE TABLE signing_key (
    org_id          integer     NOT NULL,
    key_id          text        NOT NULL,
    algorithm       text        NOT NULL,
    public_jwk      jsonb       NOT NULL,
    private_sealed  bytea       NOT NULL,
    created_at      timestamptz NOT NULL,
    retired_at      timestamptz,
    CONSTRAINT signing_key_pkey PRIMARY KEY (org_id, key_id),
    CONSTRAINT signing_key_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id)
);
CREATE UNIQUE INDEX signing_key_one_current ON signing_key (org_id) WHERE retired_at IS NULL;

-- One act of sign-in by one user for one application; its code and its whole line of refresh tokens
-- live and die with it.
CREATE TABLE oauth_grant (
    org_id          integer     NOT NULL,
    grant_id        uuid        NOT NULL,
    client_id       text        NOT NULL,
    user_id         uuid        NOT NULL,
    session_id      uuid,
    scope           text        NOT NULL,
    nonce           text,
    auth_time       timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    CONSTRAINT oauth_grant_pkey PRIMARY KEY (org_id, grant_id),
    CONSTRAINT oauth_grant_application_fkey FOREIGN KEY (org_id, client_id)
        REFERENCES application (org_id, client_id) ON DELETE CASCADE,
    CONSTRAINT oauth_grant_account_fkey FOREIGN KEY (org_id, user_id)
        REFERENCES account (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_grant_by_application ON oauth_grant (org_id, client_id);
CREATE INDEX oauth_grant_by_account ON oauth_grant (org_id, user_id);
CREATE INDEX oauth_grant_by_time ON oauth_grant (created_at);

CREATE TABLE authorization_code (
    org_id          integer     NOT NULL,
    code_digest     bytea       NOT NULL,
    grant_id        uuid        NOT NULL,
    redirect_uri    text,
    code_challenge  text,
    code_challenge_method text,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    CONSTRAINT authorization_code_pkey PRIMARY KEY (org_id, code_digest),
    CONSTRAINT authorization_code_grant_fkey FOREIGN KEY (org_id, grant_id)
        REFERENCES oauth_grant (org_id, grant_id) ON DELETE CASCADE
);
CREATE INDEX authorization_code_by_grant ON authorization_code (org_id, grant_id);
CREATE INDEX authorization_code_by_expiry ON authorization_code (expires_at);

-- Rotated on every use; a second use of a used one revokes the grant (RFC 9700 §4.14).
CREATE TABLE refresh_token (
    org_id          integer     NOT NULL,
    token_digest    bytea       NOT NULL,
    grant_id        uuid        NOT NULL,
    scope           text        NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    CONSTRAINT refresh_token_pkey PRIMARY KEY (org_id, token_digest),
    CONSTRAINT refresh_token_grant_fkey FOREIGN KEY (org_id, grant_id)
        REFERENCES oauth_grant (org_id, grant_id) ON DELETE CASCADE
);
CREATE INDEX refresh_token_by_grant ON refresh_token (org_id, grant_id);
CREATE INDEX refresh_token_by_expiry ON refresh_token (expires_at);

-- A browser in which a user is signed in (single sign-on).
CREATE TABLE browser_session (
    org_id          integer     NOT NULL,
    session_digest  bytea       NOT NULL,
    session_id      uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    auth_time       timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    CONSTRAINT browser_session_pkey PRIMARY KEY (org_id, session_digest),
    CONSTRAINT browser_session_account_fkey FOREIGN KEY (org_id, user_id)
        REFERENCES account (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX browser_session_by_account ON browser_session (org_id, user_id);
CREATE INDEX browser_session_by_expiry ON browser_session (expires_at);

-- Access tokens that must not be honoured although they have not run out: the jti of one token, or the
-- grant all of whose tokens are void.
CREATE TABLE revoked_token (
    org_id      integer     NOT NULL,
    token_id    text        NOT NULL,
    revoked_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT revoked_token_pkey PRIMARY KEY (org_id, token_id),
    CONSTRAINT revoked_token_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id)
);
CREATE INDEX revoked_token_by_time ON revoked_token (revoked_at);

-- Failed attempts per account and per address in the running window; subject is a keyed digest, so
-- that this table names nobody.
CREATE TABLE login_failure (
    org_id      integer     NOT NULL,
    subject     bytea       NOT NULL,
    failures    integer     NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT login_failure_pkey PRIMARY KEY (org_id, subject)
);
CREATE INDEX login_failure_by_expiry ON login_failure (expires_at);
