-- The directory's statements: organisations, applications, accounts, keys, grants, sessions.
-- $1 is the organisation unless the statement finds organisations; instants are microseconds (store/pool.py).

-- name: find_tenant
-- The organisation with handle $1 and its dataset named $2.
SELECT o.org_id, o.handle, d.dataset_id
  FROM organisation o JOIN dataset d ON d.org_id = o.org_id AND d.name = $2
 WHERE o.handle = $1;

-- name: list_organisations
-- Every organisation with its dataset named $1, and how many applications and accounts it has.
SELECT o.org_id, o.handle, o.name, o.created_at, d.dataset_id,
       (SELECT count(*) FROM application a WHERE a.org_id = o.org_id) AS applications,
       (SELECT count(*) FROM account u WHERE u.org_id = o.org_id) AS accounts
  FROM organisation o JOIN dataset d ON d.org_id = o.org_id AND d.name = $1
 ORDER BY o.handle;

-- name: put_organisation
-- Make the organisation $1 called $2 at $3 unless the handle is taken; nothing comes back then.
INSERT INTO organisation (handle, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT organisation_handle_key DO NOTHING
RETURNING org_id;

-- name: put_dataset
-- Give organisation $1 the dataset $2 at $3 unless it has it.
INSERT INTO dataset (org_id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT dataset_name_key DO NOTHING;

-- name: find_application
-- The application $2.
SELECT * FROM application WHERE org_id = $1 AND client_id = $2;

-- name: list_applications
-- Every application, by name.
SELECT * FROM application WHERE org_id = $1 ORDER BY name, client_id;

-- name: put_application
-- Make application $2 (name, kind, secret hash, redirects, permissions, instant) unless the id is taken.
INSERT INTO application (org_id, client_id, name, kind, secret_hash, redirect_uris,
                         post_logout_redirect_uris, permissions, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT ON CONSTRAINT application_pkey DO NOTHING
RETURNING client_id;

-- name: put_application_changes
-- Replace name $3, redirects $4 and $5 and permissions $6 of application $2 at $7.
UPDATE application
   SET name = $3, redirect_uris = $4, post_logout_redirect_uris = $5, permissions = $6, updated_at = $7
 WHERE org_id = $1 AND client_id = $2
RETURNING client_id;

-- name: put_application_secret
-- Replace the secret hash of application $2 by $3 at $4.
UPDATE application SET secret_hash = $3, updated_at = $4
 WHERE org_id = $1 AND client_id = $2 AND kind <> 'browser'
RETURNING client_id;

-- name: delete_application
-- Remove application $2 with its grants.
DELETE FROM application WHERE org_id = $1 AND client_id = $2 RETURNING client_id;

-- name: find_account
-- The account of user $2.
SELECT * FROM account WHERE org_id = $1 AND user_id = $2;

-- name: find_account_by_username
-- The account whose normalised username is $2.
SELECT * FROM account WHERE org_id = $1 AND username_key = $2;

-- name: list_accounts
-- At most $3 accounts after the normalised username $2, in that order.
SELECT * FROM account WHERE org_id = $1 AND username_key > $2 ORDER BY username_key LIMIT $3;

-- name: put_account
-- Make the account of user $2 (username, its key, password hash, claims, instant).
INSERT INTO account (org_id, user_id, username, username_key, password_hash, claims, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7);

-- name: put_account_claims
-- Replace the claims of user $2 by $3 at $4.
UPDATE account SET claims = $3, updated_at = $4 WHERE org_id = $1 AND user_id = $2 RETURNING user_id;

-- name: put_account_password
-- Replace the password hash of user $2 by $3 at $4.
UPDATE account SET password_hash = $3, updated_at = $4 WHERE org_id = $1 AND user_id = $2 RETURNING user_id;

-- name: delete_account
-- Remove the account of user $2 with its sessions and grants.
DELETE FROM account WHERE org_id = $1 AND user_id = $2 RETURNING user_id;

-- name: put_administrator
-- Make the console user $2 with password hash $3 at $4 unless there is one of that name.
INSERT INTO administrator (org_id, username, password_hash, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT administrator_pkey DO NOTHING
RETURNING username;

-- name: put_administrator_password
-- Make the console user $2 or replace their password hash by $3 at $4.
INSERT INTO administrator (org_id, username, password_hash, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT administrator_pkey
DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at;

-- name: find_administrator
-- The console user $2.
SELECT * FROM administrator WHERE org_id = $1 AND username = $2;

-- name: list_administrators
-- Every console user, by name.
SELECT * FROM administrator WHERE org_id = $1 ORDER BY username;

-- name: list_signing_keys
-- The signing keys that are current or were retired after $2, newest first.
SELECT * FROM signing_key
 WHERE org_id = $1 AND (retired_at IS NULL OR retired_at > $2)
 ORDER BY retired_at IS NOT NULL, created_at DESC;

-- name: retire_signing_key
-- Retire the current signing key at $2.
UPDATE signing_key SET retired_at = $2 WHERE org_id = $1 AND retired_at IS NULL;

-- name: put_signing_key
-- Make $2 the current signing key (algorithm, public JWK, sealed private key, instant) unless there is one.
INSERT INTO signing_key (org_id, key_id, algorithm, public_jwk, private_sealed, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id) WHERE retired_at IS NULL DO NOTHING;

-- name: put_grant
-- Record grant $2: client, user, session, scope, nonce, authentication instant, instant.
INSERT INTO oauth_grant (org_id, grant_id, client_id, user_id, session_id, scope, nonce, auth_time, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: put_code
-- Record the digest $2 of the authorization code of grant $3: redirect, challenge, method, instant, expiry.
INSERT INTO authorization_code (org_id, code_digest, grant_id, redirect_uri, code_challenge,
                                code_challenge_method, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: lock_code
-- The authorization code with digest $2, its grant and its account, locked.
SELECT c.*, g.client_id, g.user_id, g.session_id, g.scope, g.nonce, g.auth_time, g.revoked_at,
       a.username, a.claims
  FROM authorization_code c
  JOIN oauth_grant g ON g.org_id = c.org_id AND g.grant_id = c.grant_id
  JOIN account a ON a.org_id = g.org_id AND a.user_id = g.user_id
 WHERE c.org_id = $1 AND c.code_digest = $2
   FOR UPDATE OF c, g;

-- name: put_code_used
-- Mark the code with digest $2 used at $3.
UPDATE authorization_code SET used_at = $3 WHERE org_id = $1 AND code_digest = $2;

-- name: lock_refresh_token
-- The refresh token with digest $2, its grant and its account, locked.
SELECT r.*, g.client_id, g.user_id, g.session_id, g.nonce, g.auth_time, g.revoked_at, a.username, a.claims
  FROM refresh_token r
  JOIN oauth_grant g ON g.org_id = r.org_id AND g.grant_id = r.grant_id
  JOIN account a ON a.org_id = g.org_id AND a.user_id = g.user_id
 WHERE r.org_id = $1 AND r.token_digest = $2
   FOR UPDATE OF r, g;

-- name: put_refresh_token
-- Record the digest $2 of a refresh token of grant $3 with scope $4, made at $5, good until $6.
INSERT INTO refresh_token (org_id, token_digest, grant_id, scope, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: put_refresh_token_used
-- Mark the refresh token with digest $2 used at $3.
UPDATE refresh_token SET used_at = $3 WHERE org_id = $1 AND token_digest = $2;

-- name: put_grant_revoked
-- Revoke grant $2 at $3.
UPDATE oauth_grant SET revoked_at = $3 WHERE org_id = $1 AND grant_id = $2 AND revoked_at IS NULL;

-- name: put_revoked_token
-- Void what carries the token or grant id $2 from $3; forgettable after $4.
INSERT INTO revoked_token (org_id, token_id, revoked_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT revoked_token_pkey DO NOTHING;

-- name: list_revoked_tokens
-- What was revoked at $1 or later in any organisation and is not past at $2.
SELECT org_id, token_id, revoked_at, expires_at FROM revoked_token WHERE revoked_at >= $1 AND expires_at > $2;

-- name: put_grants_of_account_revoked
-- Revoke every grant of user $2 at $3.
UPDATE oauth_grant SET revoked_at = $3 WHERE org_id = $1 AND user_id = $2 AND revoked_at IS NULL;

-- name: put_session
-- Record the digest $2 of a browser session: session id, user, authentication instant, expiry.
INSERT INTO browser_session (org_id, session_digest, session_id, user_id, auth_time, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: find_session
-- The browser session with digest $2 that is not past at $3, with its account.
SELECT s.session_id, s.auth_time, a.*
  FROM browser_session s JOIN account a ON a.org_id = s.org_id AND a.user_id = s.user_id
 WHERE s.org_id = $1 AND s.session_digest = $2 AND s.expires_at > $3;

-- name: delete_session
-- End the browser session with digest $2.
DELETE FROM browser_session WHERE org_id = $1 AND session_digest = $2;

-- name: delete_session_by_id
-- End the browser session with id $2.
DELETE FROM browser_session WHERE org_id = $1 AND session_id = $2;

-- name: delete_sessions_of_account
-- End every browser session of user $2.
DELETE FROM browser_session WHERE org_id = $1 AND user_id = $2;

-- name: put_failures
-- Count one failure more at $3 for each of the subjects $2, in windows that end at $4.
INSERT INTO login_failure (org_id, subject, failures, expires_at)
SELECT $1, subject, 1, $4 FROM unnest($2::bytea[]) AS subject ORDER BY subject
ON CONFLICT ON CONSTRAINT login_failure_pkey DO UPDATE
   SET failures = CASE WHEN login_failure.expires_at <= $3 THEN 1 ELSE login_failure.failures + 1 END,
       expires_at = CASE WHEN login_failure.expires_at <= $3 THEN excluded.expires_at
                         ELSE login_failure.expires_at END;

-- name: list_failures
-- The running counts of the subjects $2 at $3.
SELECT subject, failures, expires_at FROM login_failure
 WHERE org_id = $1 AND subject = ANY($2::bytea[]) AND expires_at > $3;

-- name: delete_failures
-- Forget the failures of subject $2.
DELETE FROM login_failure WHERE org_id = $1 AND subject = $2;

-- name: delete_expired
-- Forget what is past at $1, and grants made before $2 that have nothing left to redeem.
WITH sessions AS (DELETE FROM browser_session WHERE expires_at <= $1 RETURNING 1),
     codes AS (DELETE FROM authorization_code WHERE expires_at <= $1 RETURNING 1),
     tokens AS (DELETE FROM refresh_token WHERE expires_at <= $1 RETURNING 1),
     revocations AS (DELETE FROM revoked_token WHERE expires_at <= $1 RETURNING 1),
     failures AS (DELETE FROM login_failure WHERE expires_at <= $1 RETURNING 1),
     grants AS (DELETE FROM oauth_grant g WHERE g.created_at <= $2
                   AND NOT EXISTS (SELECT FROM refresh_token r
                                    WHERE r.org_id = g.org_id AND r.grant_id = g.grant_id AND r.expires_at > $1)
                RETURNING 1)
SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM codes) + (SELECT count(*) FROM tokens)
     + (SELECT count(*) FROM revocations) + (SELECT count(*) FROM failures)
     + (SELECT count(*) FROM grants) AS forgotten;
