-- Mobile numbers are proved by a code that the webhook of an organisation sends.

-- Where the codes of an organisation are sent to.
CREATE TABLE code_webhook (
    org_id integer NOT NULL,
    url text NOT NULL,
    -- What requests are signed with.
    secret_encrypted bytea NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT code_webhook_pkey PRIMARY KEY (org_id),
    CONSTRAINT code_webhook_organisation_fkey
        FOREIGN KEY (org_id) REFERENCES organisation (org_id) ON DELETE CASCADE
);

-- The code that an account asked for last. It stays for a while after it was used or expired, so that a page can
-- say so.
CREATE TABLE mobile_code (
    org_id integer NOT NULL,
    user_id uuid NOT NULL,
    -- The delivery that carries it: an earlier one is not composed any more.
    delivery_id uuid NOT NULL,
    -- In E.164.
    number text NOT NULL,
    -- Keyed; null: not composed yet.
    code_digest bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    used_at timestamptz,
    CONSTRAINT mobile_code_pkey PRIMARY KEY (org_id, user_id),
    CONSTRAINT mobile_code_account_fkey
        FOREIGN KEY (org_id, user_id) REFERENCES account (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX mobile_code_by_expiry ON mobile_code (expires_at);
CREATE INDEX mobile_code_by_number ON mobile_code (org_id, number);

-- A number is verified for one account.
CREATE INDEX account_verified_mobile ON account (org_id, regexp_replace(claims ->> 'mobile', '[^0-9]', '', 'g'))
    WHERE verified ? 'mobile';
