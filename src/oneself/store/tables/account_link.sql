-- The table `account_link`: links that were sent by mail. $1 is the organisation.

-- name: put
-- Insert a link.
-- $2: digest of its secret
-- $3: purpose
-- $4: user id
-- $5: the address that it was sent to
-- $6: facts
-- $7: now
-- $8: when it expires
INSERT INTO account_link (org_id, link_digest, purpose, user_id, address, facts, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: find
-- A link, whether it can still be used or not.
-- $2: digest of its secret
SELECT purpose, user_id, address, facts, created_at, expires_at, used_at
FROM account_link
WHERE org_id = $1 AND link_digest = $2;

-- name: put_used
-- Use a link up, if nobody has; returns a row then.
-- $2: digest of its secret
-- $3: now
UPDATE account_link
SET used_at = $3
WHERE org_id = $1 AND link_digest = $2 AND used_at IS NULL AND expires_at > $3
RETURNING user_id;

-- name: put_used_of_address
-- Use up the links that others have for the address of an account.
-- $2: user id
-- $3: now
UPDATE account_link
SET used_at = $3
FROM account AS proving
JOIN account AS other ON other.org_id = proving.org_id AND other.username_key = proving.username_key
WHERE proving.org_id = $1 AND proving.user_id = $2 AND other.user_id <> $2
  AND account_link.org_id = $1 AND account_link.user_id = other.user_id AND account_link.used_at IS NULL
  AND lower(account_link.address COLLATE "C") = lower(proving.username COLLATE "C");

-- name: put_used_of_account
-- Use up the links of an account for a purpose.
-- $2: user id
-- $3: purposes
-- $4: now
UPDATE account_link
SET used_at = $4
WHERE org_id = $1 AND user_id = $2 AND purpose = ANY ($3::text[]) AND used_at IS NULL;

-- name: put_all_used
-- Use up every link of an account, but those for one purpose that were asked for before an instant.
-- $2: user id
-- $3: that purpose
-- $4: that instant
-- $5: now
UPDATE account_link
SET used_at = $5
WHERE org_id = $1 AND user_id = $2 AND used_at IS NULL AND (purpose <> $3 OR created_at >= $4);

-- name: is_overtaken
-- Whether a link of an account for a purpose was asked for before an instant, and used after it.
-- $2: user id
-- $3: purpose
-- $4: that instant
SELECT EXISTS (
    SELECT FROM account_link
    WHERE org_id = $1 AND user_id = $2 AND purpose = $3 AND created_at < $4 AND used_at >= $4
);
