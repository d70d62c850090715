-- The table `mobile_code`: the codes that accounts asked for last. $1 is the organisation.

-- name: put
-- Insert or replace the code of an account, which is not composed yet.
-- $2: user id
-- $3: delivery id
-- $4: number, in E.164
-- $5: now
-- $6: when it expires
INSERT INTO mobile_code (org_id, user_id, delivery_id, number, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ON CONSTRAINT mobile_code_pkey DO UPDATE
SET delivery_id = excluded.delivery_id, number = excluded.number, code_digest = NULL,
    created_at = excluded.created_at, expires_at = excluded.expires_at, attempts = 0, used_at = NULL;

-- name: find
-- The code of an account, whether it can still be used or not.
-- $2: user id
SELECT delivery_id, number, code_digest, created_at, expires_at, attempts, used_at
FROM mobile_code
WHERE org_id = $1 AND user_id = $2;

-- name: put_digest
-- Store a composed code, unless the account asked for another one; returns a row then.
-- $2: user id
-- $3: delivery id
-- $4: keyed digest of the code
UPDATE mobile_code SET code_digest = $4
WHERE org_id = $1 AND user_id = $2 AND delivery_id = $3 AND used_at IS NULL
RETURNING user_id;

-- name: count_attempt
-- Count an attempt to use a code, and return it; no row if it cannot be used.
-- $2: user id
-- $3: number
-- $4: attempts at most
-- $5: now
UPDATE mobile_code SET attempts = attempts + 1
WHERE org_id = $1 AND user_id = $2 AND number = $3 AND attempts < $4 AND used_at IS NULL AND expires_at > $5
RETURNING delivery_id, number, code_digest, created_at, expires_at, attempts, used_at;

-- name: put_used
-- Use a code up, if nobody has and the account asked for no other one; returns a row then.
-- $2: user id
-- $3: delivery id
-- $4: now
UPDATE mobile_code SET used_at = $4
WHERE org_id = $1 AND user_id = $2 AND delivery_id = $3 AND used_at IS NULL
RETURNING user_id;

-- name: put_used_of_others
-- Use up the codes that other accounts have for a number.
-- $2: user id
-- $3: number
-- $4: now
UPDATE mobile_code SET used_at = $4
WHERE org_id = $1 AND number = $3 AND user_id <> $2 AND used_at IS NULL;

-- name: delete
-- Delete the code of an account.
-- $2: user id
DELETE FROM mobile_code WHERE org_id = $1 AND user_id = $2;
