-- The table `signing_key`: the keys that an organisation signs its tokens with. $1 is the organisation.

-- name: list
-- The keys that are current or were retired after an instant, the current one first, then the newest first.
-- $2: the instant
SELECT key_id, public_jwk, private_sealed, retired_at
FROM signing_key
WHERE org_id = $1 AND (retired_at IS NULL OR retired_at > $2)
ORDER BY retired_at IS NOT NULL, created_at DESC;

-- name: retire
-- Retire the current key.
-- $2: now
UPDATE signing_key SET retired_at = $2 WHERE org_id = $1 AND retired_at IS NULL;

-- name: put
-- Insert a key as the current one unless there is a current one.
-- $2: key id
-- $3: algorithm
-- $4: the public key as a JWK
-- $5: the private key, encrypted
-- $6: now
INSERT INTO signing_key (org_id, key_id, algorithm, public_jwk, private_sealed, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id) WHERE retired_at IS NULL DO NOTHING;
