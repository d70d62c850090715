-- The table `secret_key_check`, which tells the deployment's secret key from others, and what that key
-- encrypts.

-- name: find
-- The check value of the secret key that this database was set up with; no row if none was recorded.
SELECT check_value FROM secret_key_check;

-- name: lock
-- Let no other transaction record a check value until this one ends.
LOCK TABLE secret_key_check IN SHARE ROW EXCLUSIVE MODE;

-- name: put
-- Record the check value unless there is one.
-- $1: check value
INSERT INTO secret_key_check (check_value) VALUES ($1) ON CONFLICT ON CONSTRAINT secret_key_check_pkey DO
NOTHING;

-- name: list_encrypted
-- Every encrypted value that is still used, the oldest first.
-- $1: signing keys that were retired before this instant are not used
SELECT kind, org_id, handle, key_id, encrypted
FROM (SELECT 'signing_key' AS kind, org_id, key_id, private_sealed AS encrypted, created_at AS encrypted_at
      FROM signing_key WHERE retired_at IS NULL OR retired_at > $1
      UNION ALL
      SELECT 'token_key', org_id, key_id::text, secret_sealed, created_at FROM token_key
      UNION ALL
      SELECT 'identity_server', org_id, '', secrets_sealed, updated_at FROM identity_server
      UNION ALL
      SELECT 'code_webhook', org_id, '', secret_encrypted, updated_at FROM code_webhook) AS value
JOIN organisation USING (org_id)
ORDER BY encrypted_at, kind, org_id, key_id;
