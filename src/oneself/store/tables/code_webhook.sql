-- The table `code_webhook`: where the codes of organisations are sent to. $1 is the organisation.

-- name: find
-- The webhook of the organisation.
SELECT url, secret_encrypted, updated_at FROM code_webhook WHERE org_id = $1;

-- name: put
-- Insert or replace the webhook of the organisation.
-- $2: URL
-- $3: secret, encrypted
-- $4: now
INSERT INTO code_webhook (org_id, url, secret_encrypted, updated_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT code_webhook_pkey DO UPDATE
SET url = excluded.url, secret_encrypted = excluded.secret_encrypted, updated_at = excluded.updated_at;

-- name: delete
-- Delete the webhook of the organisation.
DELETE FROM code_webhook WHERE org_id = $1 RETURNING org_id;
