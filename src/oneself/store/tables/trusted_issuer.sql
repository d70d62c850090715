-- The table `trusted_issuer`: other token issuers that an organisation trusts. $1 is the organisation.

-- name: list
-- The issuers that the organisation trusts, by address.
SELECT issuer_id, issuer, audience, jwks_uri, permissions, verified_claims, created_at, updated_at
FROM trusted_issuer
WHERE org_id = $1
ORDER BY issuer;

-- name: put
-- Insert or replace an issuer.
-- $2: issuer id
-- $3: issuer, as in its tokens
-- $4: audience
-- $5: address of its keys; null: as its discovery document says
-- $6: permissions
-- $7: which claims are verified
-- $8: now
INSERT INTO trusted_issuer
    (org_id, issuer_id, issuer, audience, jwks_uri, permissions, verified_claims, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (org_id, issuer_id) DO UPDATE
SET issuer = excluded.issuer, audience = excluded.audience, jwks_uri = excluded.jwks_uri,
    permissions = excluded.permissions, verified_claims = excluded.verified_claims,
    updated_at = excluded.updated_at;

-- name: delete
-- Delete an issuer.
-- $2: issuer id
DELETE FROM trusted_issuer WHERE org_id = $1 AND issuer_id = $2 RETURNING issuer_id;
