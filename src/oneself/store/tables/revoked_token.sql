-- The table `revoked_token`: origins of access tokens that are not valid any more.

-- name: put
-- Revoke the tokens of an origin that were made until now.
-- $1: the organisation
-- $2: the origin: a token, a grant, a client or a user
-- $3: now
-- $4: when every such token has expired
INSERT INTO revoked_token (org_id, token_id, revoked_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT revoked_token_pkey
DO UPDATE SET revoked_at = greatest(revoked_token.revoked_at, excluded.revoked_at),
              expires_at = greatest(revoked_token.expires_at, excluded.expires_at);

-- name: list_since
-- The unexpired revocations of every organisation since an instant.
-- $1: the instant
-- $2: now
SELECT org_id, token_id AS origin, revoked_at, expires_at
FROM revoked_token
WHERE revoked_at >= $1 AND expires_at > $2;
