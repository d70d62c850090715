-- The table `token_key`: the keys that persisted tokens are encrypted with. $1 is the organisation.

-- name: list
-- The keys with their states, the one that becomes or became active last first.
SELECT key_id, secret_sealed, created_at, active_from, state
FROM token_key_state
WHERE org_id = $1
ORDER BY active_from DESC, key_id DESC;

-- name: put_first
-- Insert the first key, active at once, unless the organisation has a key.
-- $2: key id
-- $3: secret, encrypted
INSERT INTO token_key (org_id, key_id, secret_sealed, created_at, active_from)
SELECT $1, $2, $3, now(), now() WHERE NOT EXISTS (SELECT FROM token_key WHERE org_id = $1)
ON CONFLICT ON CONSTRAINT token_key_pkey DO NOTHING;

-- name: put
-- Insert a key that becomes active later.
-- $2: key id
-- $3: secret, encrypted
-- $4: seconds until it is active
-- The instant of the statement, because the transaction may have waited for a lock.
INSERT INTO token_key (org_id, key_id, secret_sealed, created_at, active_from)
VALUES ($1, $2, $3, statement_timestamp(), statement_timestamp() + $4 * interval '1 second')
RETURNING key_id, secret_sealed, created_at, active_from, 'waiting' AS state;

-- name: delete
-- Delete a key unless it is the active one.
-- $2: key id
DELETE FROM token_key USING token_key_state AS current
WHERE token_key.org_id = $1 AND token_key.key_id = $2
  AND current.org_id = $1 AND current.key_id = $2 AND current.state <> 'active'
RETURNING token_key.key_id;
