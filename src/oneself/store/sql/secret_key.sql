-- The check value of the deployment's secret key, and everything that is sealed with that key.

-- name: find_secret_key_check
-- The check value of the secret key that this database was set up with; nothing if it was not recorded yet.
SELECT check_value FROM secret_key_check;

-- name: lock_secret_key_check
-- Let no other transaction record a check value until this one ends.
LOCK TABLE secret_key_check IN SHARE ROW EXCLUSIVE MODE;

-- name: put_secret_key_check
-- Record the check value $1 unless there is one.
INSERT INTO secret_key_check (check_value) VALUES ($1) ON CONFLICT ON CONSTRAINT secret_key_check_pkey DO NOTHING;

-- name: has_organisations
-- Whether the database has an organisation: without one nothing was sealed in it.
SELECT EXISTS (SELECT FROM organisation);

-- name: list_sealed_values
-- Everything sealed that is still used, the oldest first; signing keys that were retired before $1 are not.
SELECT kind, org_id, handle, key_id, sealed
  FROM (SELECT 'signing_key' AS kind, org_id, key_id, private_sealed AS sealed, created_at AS sealed_at
          FROM signing_key WHERE retired_at IS NULL OR retired_at > $1
         UNION ALL
        SELECT 'token_key', org_id, key_id::text, secret_sealed, created_at FROM token_key
         UNION ALL
        SELECT 'identity_server', org_id, '', secrets_sealed, updated_at FROM identity_server) AS value
  JOIN organisation USING (org_id)
 ORDER BY sealed_at, kind, org_id, key_id;
