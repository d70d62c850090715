-- Issuers outside whose access tokens an organisation honours (DESIGN §10).

-- `permissions`: what a holder of its tokens may do beside what the token's scope says.
CREATE TABLE trusted_issuer (
    org_id       integer     NOT NULL,
    issuer_id    uuid        NOT NULL,
    issuer       text        NOT NULL,
    audience     text        NOT NULL,
    jwks_uri     text,                    -- without it the keys are found by discovery
    permissions  text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT trusted_issuer_pkey PRIMARY KEY (org_id, issuer_id),
    CONSTRAINT trusted_issuer_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id),
    CONSTRAINT trusted_issuer_once UNIQUE (org_id, issuer)
);
