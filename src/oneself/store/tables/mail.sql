-- The table `mail`: mails to send, and those in the development outbox. $1 is the organisation, unless said.

-- name: put
-- Insert a mail to send at once.
-- $2: mail id
-- $3: kind
-- $4: recipient
-- $5: user id, or null
-- $6: facts
-- $7: now
-- $8: when it is no longer worth sending
INSERT INTO mail (org_id, mail_id, kind, recipient, user_id, facts, created_at, due_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8);

-- name: take_due
-- Of all organisations, the mails that are due, which nobody else takes before a given instant.
-- $1: now
-- $2: that instant
-- $3: mails at most
UPDATE mail
SET due_at = $2, attempts = mail.attempts + 1
FROM organisation
WHERE organisation.org_id = mail.org_id
  AND (mail.org_id, mail.mail_id) IN (
    SELECT due.org_id, due.mail_id FROM mail AS due
    WHERE due.delivered_at IS NULL AND due.due_at <= $1 AND due.expires_at > $1
    ORDER BY due.due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING mail.org_id, organisation.handle, organisation.name, mail.mail_id, mail.kind, mail.recipient,
          mail.user_id, mail.facts, mail.content, mail.created_at, mail.expires_at, mail.attempts;

-- name: put_content
-- Store what a mail says.
-- $2: mail id
-- $3: content, encrypted
UPDATE mail SET content = $3 WHERE org_id = $1 AND mail_id = $2;

-- name: put_failure
-- Record why a mail could not be sent, and when it is due again.
-- $2: mail id
-- $3: the reason
-- $4: when it is due again
UPDATE mail SET failure = $3, due_at = $4 WHERE org_id = $1 AND mail_id = $2;

-- name: put_delivered
-- Record that the development outbox has a mail.
-- $2: mail id
-- $3: now
UPDATE mail SET delivered_at = $3 WHERE org_id = $1 AND mail_id = $2;

-- name: delete
-- Delete a mail.
-- $2: mail id
DELETE FROM mail WHERE org_id = $1 AND mail_id = $2;

-- name: list_delivered
-- The newest mails in the development outbox.
-- $2: mails at most
SELECT mail_id, recipient, content, created_at
FROM mail
WHERE org_id = $1 AND delivered_at IS NOT NULL
ORDER BY created_at DESC, mail_id
LIMIT $2;

-- name: count_waiting
-- How many mails of all organisations have been tried and could not be sent yet.
SELECT count(*) FROM mail WHERE delivered_at IS NULL AND attempts > 0;
