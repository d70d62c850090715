-- The tables `console_code`, `console_session` and `console_form`: how console users sign in, what they sent.
-- $1 is not a dataset here: each statement says what it is.

-- name: put_code
-- Insert an authorization code.
-- $1: digest of the code
-- $2: console user
-- $3: PKCE challenge
-- $4: when it expires
INSERT INTO console_code (code_digest, console_user_id, code_challenge, expires_at) VALUES ($1, $2, $3, $4);

-- name: take_code
-- Delete an authorization code, which redeems it; returns no row if it is unknown or was redeemed before.
-- $1: digest of the code
DELETE FROM console_code USING console_user
WHERE console_code.code_digest = $1 AND console_user.console_user_id = console_code.console_user_id
RETURNING console_code.console_user_id, console_user.username, console_code.code_challenge,
          console_code.expires_at;

-- name: put
-- Insert a session.
-- $1: digest of its token
-- $2: session id
-- $3: console user
-- $4: when it expires
INSERT INTO console_session (session_digest, session_id, console_user_id, expires_at) VALUES ($1, $2, $3, $4);

-- name: find
-- A session that has not expired, with its user.
-- $1: digest of its token
-- $2: now
SELECT console_session.session_id, console_session.console_user_id, console_user.username
FROM console_session
JOIN console_user ON console_user.console_user_id = console_session.console_user_id
WHERE console_session.session_digest = $1 AND console_session.expires_at > $2;

-- name: delete
-- Delete a session.
-- $1: digest of its token
DELETE FROM console_session WHERE session_digest = $1;

-- name: delete_of
-- Delete the sessions and codes of a console user.
-- $1: console user
WITH codes AS (DELETE FROM console_code WHERE console_user_id = $1)
DELETE FROM console_session WHERE console_user_id = $1;

-- name: put_form
-- Remember that a form was sent; returns no row if it was sent before.
-- $1: digest of the form's token
-- $2: when it is forgotten
INSERT INTO console_form (form_digest, expires_at) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT console_form_pkey DO NOTHING
RETURNING form_digest;

-- name: delete_form
-- Forget that a form was sent, because it changed nothing.
-- $1: digest of the form's token
DELETE FROM console_form WHERE form_digest = $1;
