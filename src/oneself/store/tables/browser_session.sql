-- The table `browser_session`: browsers in which users are signed in. $1 is the organisation.

-- name: put
-- Insert a session.
-- $2: digest of the cookie's token
-- $3: session id
-- $4: user id
-- $5: when the user proved who they are
-- $6: when the session expires
INSERT INTO browser_session (org_id, session_digest, session_id, user_id, auth_time, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: find
-- An unexpired session with its account.
-- $2: digest of the cookie's token
-- $3: now
SELECT session.session_id, session.auth_time, account.user_id, account.username, account.password_hash,
       account.claims, account.created_at, account.verified
FROM browser_session AS session
JOIN account ON account.org_id = session.org_id AND account.user_id = session.user_id
WHERE session.org_id = $1 AND session.session_digest = $2 AND session.expires_at > $3;

-- name: delete
-- End a session.
-- $2: session id
DELETE FROM browser_session WHERE org_id = $1 AND session_id = $2;

-- name: delete_of_account
-- End every session of a user.
-- $2: user id
DELETE FROM browser_session WHERE org_id = $1 AND user_id = $2;
