-- Rows of several tables that expire.

-- name: delete
-- Delete what has expired in every organisation and dataset, and old grants with nothing left to redeem.
-- $1: now
-- $2: grants are old if they were made before this instant
WITH sessions AS (DELETE FROM browser_session WHERE expires_at <= $1 RETURNING 1),
     codes AS (DELETE FROM authorization_code WHERE expires_at <= $1 RETURNING 1),
     tokens AS (DELETE FROM refresh_token WHERE expires_at <= $1 RETURNING 1),
     revocations AS (DELETE FROM revoked_token WHERE expires_at <= $1 RETURNING 1),
     requests AS (DELETE FROM idempotency_record WHERE expires_at <= $1 RETURNING 1),
     failures AS (DELETE FROM login_failure WHERE expires_at <= $1 RETURNING 1),
     grants AS (DELETE FROM oauth_grant
                WHERE oauth_grant.created_at <= $2
                  AND NOT EXISTS (SELECT FROM refresh_token
                                  WHERE refresh_token.org_id = oauth_grant.org_id
                                    AND refresh_token.grant_id = oauth_grant.grant_id
                                    AND refresh_token.expires_at > $1)
                RETURNING 1)
SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM codes) + (SELECT count(*) FROM tokens)
     + (SELECT count(*) FROM revocations) + (SELECT count(*) FROM failures)
     + (SELECT count(*) FROM requests) + (SELECT count(*) FROM grants) AS deleted;
