-- What is sent by mail, and the links in it.

-- A mail that waits to be sent, or that the development outbox shows. Its content is made when it is sent first.
CREATE TABLE mail (
    org_id integer NOT NULL,
    mail_id uuid NOT NULL,
    kind text NOT NULL,
    recipient text NOT NULL,
    -- The account that it is about; deleted with it. Null: whichever has the address by then.
    user_id uuid,
    -- What the text says besides, such as the browser that asked for it.
    facts jsonb NOT NULL,
    -- Encrypted, because links prove addresses.
    content bytea,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    failure text,
    -- When the development outbox got it. A mail that a server took is deleted.
    delivered_at timestamptz,
    CONSTRAINT mail_pkey PRIMARY KEY (org_id, mail_id),
    CONSTRAINT mail_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX mail_due ON mail (due_at) WHERE delivered_at IS NULL;
CREATE INDEX mail_by_account ON mail (org_id, user_id);
CREATE INDEX mail_by_time ON mail (org_id, delivered_at);
CREATE INDEX mail_by_expiry ON mail (expires_at);

-- A link that a mail carries, under the digest of its secret. It stays for a while after it was used or expired,
-- so that a page can say so.
CREATE TABLE account_link (
    org_id integer NOT NULL,
    link_digest bytea NOT NULL,
    purpose text NOT NULL,
    user_id uuid NOT NULL,
    address text NOT NULL,
    facts jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT account_link_pkey PRIMARY KEY (org_id, link_digest),
    CONSTRAINT account_link_account_fkey
        FOREIGN KEY (org_id, user_id) REFERENCES account (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX account_link_by_account ON account_link (org_id, user_id);
CREATE INDEX account_link_by_expiry ON account_link (expires_at);

-- When somebody last signed in to an account: those that nobody proved and nobody uses expire.
ALTER TABLE account ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX account_unproven ON account (used_at) WHERE NOT verified ? 'emailaddress';

-- Mails are counted as well as failed sign-ins.
ALTER TABLE login_failure RENAME TO attempt_count;
ALTER TABLE attempt_count RENAME COLUMN failures TO attempts;
ALTER TABLE attempt_count RENAME CONSTRAINT login_failure_pkey TO attempt_count_pkey;
ALTER INDEX login_failure_by_expiry RENAME TO attempt_count_by_expiry;
