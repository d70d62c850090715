-- The table `application`: the clients of an organisation. $1 is the organisation.

-- name: find
-- An application by its client id.
-- $2: client id
SELECT client_id, name, kind, redirect_uris, post_logout_redirect_uris, permissions, created_at, secret_hash
FROM application
WHERE org_id = $1 AND client_id = $2;

-- name: list
-- Every application, by name.
SELECT client_id, name, kind, redirect_uris, post_logout_redirect_uris, permissions, created_at, secret_hash
FROM application
WHERE org_id = $1
ORDER BY name, client_id;

-- name: put
-- Insert an application; returns no row if the client id is taken.
-- $2: client id
-- $3: name
-- $4: kind
-- $5: secret hash; null for none
-- $6: redirect URIs
-- $7: redirect URIs after a logout
-- $8: permissions
-- $9: now
INSERT INTO application (org_id, client_id, name, kind, secret_hash, redirect_uris,
                         post_logout_redirect_uris, permissions, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT ON CONSTRAINT application_pkey DO NOTHING
RETURNING client_id;

-- name: put_changes
-- Replace what can change of an application.
-- $2: client id
-- $3: name
-- $4: redirect URIs
-- $5: redirect URIs after a logout
-- $6: permissions
-- $7: now
UPDATE application
SET name = $3, redirect_uris = $4, post_logout_redirect_uris = $5, permissions = $6, updated_at = $7
WHERE org_id = $1 AND client_id = $2;

-- name: put_secret
-- Replace the secret of an application that has one.
-- $2: client id
-- $3: secret hash
-- $4: now
UPDATE application
SET secret_hash = $3, updated_at = $4
WHERE org_id = $1 AND client_id = $2 AND kind <> 'browser'
RETURNING client_id;

-- name: delete
-- Delete an application with its grants.
-- $2: client id
DELETE FROM application WHERE org_id = $1 AND client_id = $2;
