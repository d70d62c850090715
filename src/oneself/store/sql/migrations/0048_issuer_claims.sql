-- Tokens of trusted issuers report claims of their users (docs/decisions/0039-claims-in-tokens-of-trusted-issuers.md).
ALTER TABLE trusted_issuer
    -- Which of the claims are verified: those of which the token says so, all, or none.
    ADD COLUMN verified_claims text NOT NULL DEFAULT 'as_stated',
    ADD CONSTRAINT trusted_issuer_verified_claims_known CHECK (verified_claims IN ('as_stated', 'always', 'never'));

-- What an issuer reported last of a user, so that a token reports what changed, and an older token nothing.
CREATE TABLE issuer_claims (
    dataset_id          integer   NOT NULL,
    user_id             text      NOT NULL,
    -- When the newest token was issued, in µs since 1970.
    issued_at           bigint    NOT NULL,
    -- Claim → a keyed digest of its value and of whether it is verified.
    digests             jsonb     NOT NULL,
    CONSTRAINT issuer_claims_key PRIMARY KEY (dataset_id, user_id)
);
