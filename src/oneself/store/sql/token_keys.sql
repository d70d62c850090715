-- name: list_token_keys
-- The token keys of an organisation ($1) with their states, the one that becomes or became active last first.
SELECT key_id, secret_sealed, created_at, active_from, state
  FROM token_key_state WHERE org_id = $1 ORDER BY active_from DESC, key_id DESC;

-- name: put_first_token_key
-- Give an organisation ($1) that has none a token key $2 with the sealed secret $3, active at once.
INSERT INTO token_key (org_id, key_id, secret_sealed, created_at, active_from)
SELECT $1, $2, $3, now(), now() WHERE NOT EXISTS (SELECT FROM token_key WHERE org_id = $1)
ON CONFLICT ON CONSTRAINT token_key_pkey DO NOTHING;

-- name: put_token_key
-- Give an organisation ($1) a token key $2 with the sealed secret $3, active in $4 seconds; nothing if the id is taken.
INSERT INTO token_key (org_id, key_id, secret_sealed, created_at, active_from)
VALUES ($1, $2, $3, now(), now() + $4 * interval '1 second')
ON CONFLICT ON CONSTRAINT token_key_pkey DO NOTHING RETURNING created_at, active_from;

-- name: delete_token_key
-- Destroy token key $2 of an organisation ($1) unless it is the active one.
DELETE FROM token_key USING token_key_state s
 WHERE token_key.org_id = $1 AND token_key.key_id = $2
   AND s.org_id = $1 AND s.key_id = $2 AND s.state <> 'active'
RETURNING token_key.key_id;
