-- The table `revoked_token`: origins of access tokens that are not valid any more.

-- name: put
-- Revoke the tokens of an origin.
-- $1: the organisation
-- $2: the origin: a token, a grant, a client or a user
-- $3: now
-- $4: when every such token has expired
INSERT INTO revoked_token (org_id, token_id, revoked_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT revoked_token_pkey DO NOTHING;

-- name: list_since
-- The unexpired revocations of every organisation since an instant.
-- $1: the instant
-- $2: now
SELECT org_id, token_id AS origin, revoked_at, expires_at
FROM revoked_token
WHERE revoked_at >= $1 AND expires_at > $2;
