-- The table `identity_server`: organisations with an identity server of their own. $1 is the organisation.

-- name: find
-- The organisation's own identity server.
SELECT url, client_id, grant_type, sync_username, secrets_sealed FROM identity_server WHERE org_id = $1;

-- name: put
-- Insert or replace the organisation's own identity server.
-- $2: address
-- $3: client id
-- $4: grant type
-- $5: username of its reports; null for none
-- $6: secrets, encrypted
INSERT INTO identity_server (org_id, url, client_id, grant_type, sync_username, secrets_sealed, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT (org_id) DO UPDATE
SET url = excluded.url, client_id = excluded.client_id, grant_type = excluded.grant_type,
    sync_username = excluded.sync_username, secrets_sealed = excluded.secrets_sealed, updated_at = now();

-- name: delete
-- Delete the organisation's own identity server.
DELETE FROM identity_server WHERE org_id = $1 RETURNING org_id;
