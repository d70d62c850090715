-- The users of the console are a directory of their own: they belong to no organisation, and have a role in each of
-- some organisations.

CREATE TABLE console_user (
    console_user_id uuid NOT NULL,
    username text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT console_user_pkey PRIMARY KEY (console_user_id),
    CONSTRAINT console_user_username_key UNIQUE (username)
);

CREATE TABLE console_role (
    console_user_id uuid NOT NULL,
    org_id integer NOT NULL,
    role text NOT NULL,
    CONSTRAINT console_role_pkey PRIMARY KEY (console_user_id, org_id),
    CONSTRAINT console_role_name CHECK (role IN ('administrator', 'analyst', 'privacy_officer')),
    CONSTRAINT console_role_user_fkey FOREIGN KEY (console_user_id)
        REFERENCES console_user (console_user_id) ON DELETE CASCADE,
    CONSTRAINT console_role_organisation_fkey FOREIGN KEY (org_id)
        REFERENCES organisation (org_id) ON DELETE CASCADE
);
CREATE INDEX console_role_by_organisation ON console_role (org_id);

-- Authorization codes of the console, each with the PKCE challenge that it was asked for with.
CREATE TABLE console_code (
    code_digest bytea NOT NULL,
    console_user_id uuid NOT NULL,
    code_challenge text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT console_code_pkey PRIMARY KEY (code_digest),
    CONSTRAINT console_code_user_fkey FOREIGN KEY (console_user_id)
        REFERENCES console_user (console_user_id) ON DELETE CASCADE
);
CREATE INDEX console_code_by_user ON console_code (console_user_id);
CREATE INDEX console_code_by_expiry ON console_code (expires_at);

-- Browsers in which a console user is signed in.
CREATE TABLE console_session (
    session_digest bytea NOT NULL,
    session_id uuid NOT NULL,
    console_user_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT console_session_pkey PRIMARY KEY (session_digest),
    CONSTRAINT console_session_user_fkey FOREIGN KEY (console_user_id)
        REFERENCES console_user (console_user_id) ON DELETE CASCADE
);
CREATE INDEX console_session_by_user ON console_session (console_user_id);
CREATE INDEX console_session_by_expiry ON console_session (expires_at);

-- Forms that were sent, so that a form changes something once, however often a browser sends it.
CREATE TABLE console_form (
    form_digest bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT console_form_pkey PRIMARY KEY (form_digest)
);
CREATE INDEX console_form_by_expiry ON console_form (expires_at);

-- Who was an administrator of one organisation still is. Where organisations share a name, it stays with the first
-- organisation, and the others get the handle behind it.
WITH named AS (
    SELECT gen_random_uuid() AS console_user_id,
           CASE WHEN row_number() OVER (PARTITION BY administrator.username ORDER BY administrator.org_id) = 1
                THEN administrator.username
                ELSE administrator.username || '@' || organisation.handle END AS username,
           administrator.org_id, administrator.password_hash, administrator.created_at, administrator.updated_at
    FROM administrator JOIN organisation ON organisation.org_id = administrator.org_id
), users AS (
    INSERT INTO console_user
    SELECT console_user_id, username, password_hash, created_at, updated_at FROM named
    RETURNING console_user_id
)
INSERT INTO console_role
SELECT named.console_user_id, named.org_id, 'administrator'
FROM named JOIN users ON users.console_user_id = named.console_user_id;

DROP TABLE administrator;
