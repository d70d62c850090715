-- The table `account`: users of the embedded directory. $1 is the organisation.

-- name: find
-- The account of a user.
-- $2: user id
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND user_id = $2;

-- name: find_by_username
-- The account of a username.
-- $2: the normalised username
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND username_key = $2;

-- name: list
-- A page of accounts in the order of their normalised usernames.
-- $2: the normalised username before the page
-- $3: rows at most
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND username_key > $2
ORDER BY username_key
LIMIT $3;

-- name: put
-- Insert an account.
-- $2: user id
-- $3: username
-- $4: the normalised username
-- $5: password hash
-- $6: claims
-- $7: now
INSERT INTO account (org_id, user_id, username, username_key, password_hash, claims, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7);

-- name: put_claims
-- Change claims of a user, end the verification of those that get another value, verify some, and return all.
-- $2: user id
-- $3: the changed claims; null removes one
-- $4: the claims to verify and when, in µs since 1970; a verified claim keeps its instant
-- $5: the claims whose verification is withdrawn
-- $6: values that the account has to have after the change
-- $7: now
UPDATE account
SET claims = jsonb_strip_nulls(claims || $3),
    verified = $4 || (verified - $5::text[] - ARRAY(
        SELECT changed.key FROM jsonb_each_text($3) AS changed
        WHERE changed.value IS DISTINCT FROM claims ->> changed.key
    )),
    updated_at = $7
WHERE org_id = $1 AND user_id = $2 AND (claims || $3) @> $6
RETURNING claims, verified;

-- name: put_password
-- Replace the password of a user.
-- $2: user id
-- $3: password hash
-- $4: now
UPDATE account SET password_hash = $3, updated_at = $4 WHERE org_id = $1 AND user_id = $2 RETURNING user_id;

-- name: delete
-- Delete the account of a user with its sessions and grants.
-- $2: user id
DELETE FROM account WHERE org_id = $1 AND user_id = $2 RETURNING user_id;
