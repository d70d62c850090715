-- The table `account`: users of the embedded directory. $1 is the organisation.

-- name: find
-- The account of a user.
-- $2: user id
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND user_id = $2;

-- name: lock
-- The account of a user, which nobody else changes until the transaction ends.
-- $2: user id
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND user_id = $2
FOR UPDATE;

-- name: find_by_username
-- The accounts with a username: the one that has verified it, else the newest first.
-- $2: the normalised username
-- $3: rows at most
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND username_key = $2
ORDER BY verified ? 'emailaddress' DESC, created_at DESC, user_id
LIMIT $3;

-- name: list_kinds_of_hashes
-- Of the hashes of a username's passwords, one of each salt and parameters.
-- $2: the normalised username
SELECT DISTINCT ON (regexp_replace(password_hash, '[^$]*$', '')) password_hash
FROM account
WHERE org_id = $1 AND username_key = $2;

-- name: find_by_password
-- The newest account with a username and one of some password hashes.
-- $2: the normalised username
-- $3: password hashes
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND username_key = $2 AND password_hash = ANY ($3::text[])
ORDER BY created_at DESC, user_id
LIMIT 1;

-- name: list
-- A page of accounts in the order of their normalised usernames, and of user ids.
-- $2: the normalised username before the page
-- $3: the user id before the page
-- $4: rows at most
SELECT user_id, username, password_hash, claims, created_at, verified
FROM account
WHERE org_id = $1 AND (username_key, user_id) > ($2, $3)
ORDER BY username_key, user_id
LIMIT $4;

-- name: lock_value
-- Let nobody else verify a username or a mobile number until the transaction ends.
-- $1: the key of the lock
SELECT pg_advisory_xact_lock($1);

-- name: withdraw_from_others
-- End the verification of the address of an account by the others that have it.
-- $2: user id
-- $3: now
UPDATE account AS other
SET verified = other.verified - 'emailaddress', updated_at = $3
FROM account AS proving
WHERE proving.org_id = $1 AND proving.user_id = $2
  AND other.org_id = $1 AND other.username_key = proving.username_key
  AND other.user_id <> $2 AND other.verified ? 'emailaddress';

-- name: withdraw_mobile_from_others
-- End the verification of a mobile number by the other accounts that have it, however they write it.
-- $2: user id
-- $3: the digits of the number
-- $4: now
UPDATE account
SET verified = verified - 'mobile', updated_at = $4
WHERE org_id = $1 AND user_id <> $2 AND verified ? 'mobile'
  AND regexp_replace(claims ->> 'mobile', '[^0-9]', '', 'g') = $3;

-- name: put
-- Insert an account.
-- $2: user id
-- $3: username
-- $4: the normalised username
-- $5: password hash
-- $6: claims
-- $7: now
INSERT INTO account
    (org_id, user_id, username, username_key, password_hash, claims, created_at, updated_at, used_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7);

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

-- name: put_username
-- Give an account another username and address, which nobody has verified, and return its claims.
-- $2: user id
-- $3: username
-- $4: the normalised username
-- $5: e-mail address, or null
-- $6: now
UPDATE account
SET username = $3, username_key = $4,
    claims = jsonb_strip_nulls(claims || jsonb_build_object('username', $3::text, 'emailaddress', $5::text)),
    verified = verified - 'emailaddress',
    updated_at = $6
WHERE org_id = $1 AND user_id = $2
RETURNING claims, verified;

-- name: put_used
-- Record that somebody signed in to an account.
-- $2: user id
-- $3: now
UPDATE account SET used_at = $3 WHERE org_id = $1 AND user_id = $2;

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
