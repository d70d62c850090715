-- Rows of several tables that expire.

-- name: delete
-- Delete what has expired in every organisation and dataset, and old grants and accounts that nobody uses.
-- $1: now
-- $2: grants are old if they were made before this instant, and mobile codes if they expired before it
-- $3: links are forgotten if they expired before this instant
-- $4: accounts without a verified address are unused if nobody has signed in since this instant
WITH sessions AS (DELETE FROM browser_session WHERE expires_at <= $1 RETURNING 1),
     codes AS (DELETE FROM authorization_code WHERE expires_at <= $1 RETURNING 1),
     tokens AS (DELETE FROM refresh_token WHERE expires_at <= $1 RETURNING 1),
     revocations AS (DELETE FROM revoked_token WHERE expires_at <= $1 RETURNING 1),
     requests AS (DELETE FROM idempotency_record WHERE expires_at <= $1 RETURNING 1),
     counts AS (DELETE FROM attempt_count WHERE expires_at <= $1 RETURNING 1),
     deliveries AS (DELETE FROM delivery WHERE expires_at <= $1 RETURNING 1),
     mobile_codes AS (DELETE FROM mobile_code WHERE expires_at <= $2 RETURNING 1),
     console_codes AS (DELETE FROM console_code WHERE expires_at <= $1 RETURNING 1),
     console_sessions AS (DELETE FROM console_session WHERE expires_at <= $1 RETURNING 1),
     console_forms AS (DELETE FROM console_form WHERE expires_at <= $1 RETURNING 1),
     links AS (DELETE FROM account_link WHERE expires_at <= $3 RETURNING 1),
     accounts AS (DELETE FROM account
                  WHERE NOT account.verified ? 'emailaddress' AND account.used_at <= $4
                    AND NOT EXISTS (SELECT FROM oauth_grant
                                    JOIN refresh_token ON refresh_token.org_id = oauth_grant.org_id
                                                      AND refresh_token.grant_id = oauth_grant.grant_id
                                    WHERE oauth_grant.org_id = account.org_id
                                      AND oauth_grant.user_id = account.user_id
                                      AND oauth_grant.revoked_at IS NULL
                                      AND refresh_token.expires_at > $1)
                  RETURNING 1),
     grants AS (DELETE FROM oauth_grant
                WHERE oauth_grant.created_at <= $2
                  AND NOT EXISTS (SELECT FROM refresh_token
                                  WHERE refresh_token.org_id = oauth_grant.org_id
                                    AND refresh_token.grant_id = oauth_grant.grant_id
                                    AND refresh_token.expires_at > $1)
                RETURNING 1)
SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM codes) + (SELECT count(*) FROM tokens)
     + (SELECT count(*) FROM revocations) + (SELECT count(*) FROM counts)
     + (SELECT count(*) FROM requests) + (SELECT count(*) FROM grants) + (SELECT count(*) FROM deliveries)
     + (SELECT count(*) FROM links) + (SELECT count(*) FROM mobile_codes)
     + (SELECT count(*) FROM console_codes) + (SELECT count(*) FROM console_sessions)
     + (SELECT count(*) FROM console_forms) + (SELECT count(*) FROM accounts) AS deleted;
