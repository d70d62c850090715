-- name: list_issuers
-- The issuers that an organisation ($1) trusts, by address.
SELECT issuer_id, issuer, audience, jwks_uri, permissions, created_at, updated_at
  FROM trusted_issuer WHERE org_id = $1 ORDER BY issuer;

-- name: put_issuer
-- Let an organisation ($1) trust $3 under the id $2: $4 audience, $5 address of its keys, $6 permissions, $7 now.
INSERT INTO trusted_issuer (org_id, issuer_id, issuer, audience, jwks_uri, permissions, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT (org_id, issuer_id) DO UPDATE
SET issuer = excluded.issuer, audience = excluded.audience, jwks_uri = excluded.jwks_uri,
    permissions = excluded.permissions, updated_at = excluded.updated_at;

-- name: delete_issuer
-- Let an organisation ($1) trust issuer $2 no more.
DELETE FROM trusted_issuer WHERE org_id = $1 AND issuer_id = $2 RETURNING issuer_id;
