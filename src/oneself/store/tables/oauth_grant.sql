-- The table `oauth_grant` with its authorization codes and refresh tokens. $1 is the organisation.

-- name: put
-- Insert a grant.
-- $2: grant id
-- $3: client id
-- $4: user id
-- $5: session id
-- $6: scope
-- $7: nonce; null for none
-- $8: when the user proved who they are
-- $9: now
INSERT INTO oauth_grant (org_id, grant_id, client_id, user_id, session_id, scope, nonce, auth_time,
created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: put_code
-- Insert the authorization code of a grant.
-- $2: digest of the code
-- $3: grant id
-- $4: redirect URI; null for none
-- $5: code challenge; null for none
-- $6: code challenge method; null for none
-- $7: trackers
-- $8: now
-- $9: when the code expires
INSERT INTO authorization_code (org_id, code_digest, grant_id, redirect_uri, code_challenge,
                                code_challenge_method, trackers, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: lock_code
-- An authorization code with its grant and account, locked.
-- $2: digest of the code
SELECT code.grant_id, code.used_at, code.expires_at, code.redirect_uri, code.code_challenge,
       code.code_challenge_method, code.trackers, oauth_grant.client_id, oauth_grant.user_id,
       oauth_grant.session_id,
       oauth_grant.scope, oauth_grant.nonce, oauth_grant.auth_time, oauth_grant.revoked_at,
       account.username, account.claims, account.verified
FROM authorization_code AS code
JOIN oauth_grant ON oauth_grant.org_id = code.org_id AND oauth_grant.grant_id = code.grant_id
JOIN account ON account.org_id = oauth_grant.org_id AND account.user_id = oauth_grant.user_id
WHERE code.org_id = $1 AND code.code_digest = $2
FOR UPDATE OF code, oauth_grant;

-- name: put_code_used
-- Mark an authorization code as used.
-- $2: digest of the code
-- $3: now
UPDATE authorization_code SET used_at = $3 WHERE org_id = $1 AND code_digest = $2;

-- name: lock_refresh_token
-- A refresh token with its grant and account, locked.
-- $2: digest of the token
SELECT token.grant_id, token.used_at, token.expires_at, NULL AS redirect_uri, NULL AS code_challenge,
       NULL AS code_challenge_method, '{}'::text[] AS trackers, oauth_grant.client_id,
       oauth_grant.user_id, oauth_grant.session_id,
       token.scope, oauth_grant.nonce, oauth_grant.auth_time, oauth_grant.revoked_at,
       account.username, account.claims, account.verified
FROM refresh_token AS token
JOIN oauth_grant ON oauth_grant.org_id = token.org_id AND oauth_grant.grant_id = token.grant_id
JOIN account ON account.org_id = oauth_grant.org_id AND account.user_id = oauth_grant.user_id
WHERE token.org_id = $1 AND token.token_digest = $2
FOR UPDATE OF token, oauth_grant;

-- name: put_refresh_token
-- Insert a refresh token of a grant.
-- $2: digest of the token
-- $3: grant id
-- $4: scope
-- $5: now
-- $6: when the token expires
INSERT INTO refresh_token (org_id, token_digest, grant_id, scope, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: is_refresh_token_unused
-- Whether a refresh token exists that nobody has used.
-- $2: digest of the token
SELECT EXISTS (
    SELECT FROM refresh_token WHERE org_id = $1 AND token_digest = $2 AND used_at IS NULL
);

-- name: put_refresh_token_used
-- Mark a refresh token as used.
-- $2: digest of the token
-- $3: now
UPDATE refresh_token SET used_at = $3 WHERE org_id = $1 AND token_digest = $2;

-- name: put_revoked
-- Revoke a grant.
-- $2: grant id
-- $3: now
UPDATE oauth_grant SET revoked_at = $3 WHERE org_id = $1 AND grant_id = $2 AND revoked_at IS NULL;

-- name: put_revoked_of_account
-- Revoke every grant of a user, and return their ids.
-- $2: user id
-- $3: now
UPDATE oauth_grant SET revoked_at = $3
WHERE org_id = $1 AND user_id = $2 AND revoked_at IS NULL
RETURNING grant_id;

-- name: put_revoked_of_session
-- Revoke every grant of a session, and return their ids.
-- $2: user id
-- $3: session id
-- $4: now
UPDATE oauth_grant SET revoked_at = $4
WHERE org_id = $1 AND user_id = $2 AND session_id = $3 AND revoked_at IS NULL
RETURNING grant_id;
