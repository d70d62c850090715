-- The table `delivery`: what is to be sent, and what is in the development outbox. $1 is the organisation,
-- unless said.

-- name: put
-- Insert something to send at once.
-- $2: delivery id
-- $3: channel
-- $4: kind
-- $5: recipient
-- $6: user id, or null
-- $7: facts
-- $8: now
-- $9: when it is no longer worth sending
INSERT INTO delivery
    (org_id, delivery_id, channel, kind, recipient, user_id, facts, created_at, due_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9);

-- name: take_due
-- Of all organisations, each in its turn, what is due and nobody else takes before a given instant.
-- $1: now
-- $2: that instant
-- $3: channels
-- $4: deliveries at most
UPDATE delivery
SET due_at = $2, attempts = delivery.attempts + 1
FROM organisation
WHERE organisation.org_id = delivery.org_id
  AND (delivery.org_id, delivery.delivery_id) IN (
    SELECT due.org_id, due.delivery_id
    FROM (
        SELECT waiting.org_id, waiting.delivery_id, waiting.due_at,
               row_number() OVER (PARTITION BY waiting.org_id ORDER BY waiting.due_at) AS turn
        FROM delivery AS waiting
        WHERE waiting.delivered_at IS NULL AND waiting.due_at <= $1 AND waiting.expires_at > $1
          AND waiting.channel = ANY ($3::text[])
    ) AS ranked
    JOIN delivery AS due ON due.org_id = ranked.org_id AND due.delivery_id = ranked.delivery_id
    WHERE due.delivered_at IS NULL AND due.due_at <= $1
    ORDER BY ranked.turn, ranked.due_at
    LIMIT $4
    FOR UPDATE OF due SKIP LOCKED
)
RETURNING delivery.org_id, organisation.handle, organisation.name, delivery.delivery_id, delivery.channel,
          delivery.kind, delivery.recipient, delivery.user_id, delivery.facts, delivery.content,
          delivery.created_at, delivery.expires_at, delivery.attempts;

-- name: put_content
-- Store what a delivery says.
-- $2: delivery id
-- $3: content, encrypted
UPDATE delivery SET content = $3 WHERE org_id = $1 AND delivery_id = $2;

-- name: put_failure
-- Record why a delivery failed, and when it is due again.
-- $2: delivery id
-- $3: the reason
-- $4: when it is due again
UPDATE delivery SET failure = $3, due_at = $4 WHERE org_id = $1 AND delivery_id = $2;

-- name: put_delivered
-- Record that the development outbox has a delivery.
-- $2: delivery id
-- $3: now
UPDATE delivery SET delivered_at = $3 WHERE org_id = $1 AND delivery_id = $2;

-- name: delete
-- Delete a delivery.
-- $2: delivery id
DELETE FROM delivery WHERE org_id = $1 AND delivery_id = $2;

-- name: delete_waiting
-- Delete the deliveries of a kind about an account that have not been sent.
-- $2: user id
-- $3: kind
DELETE FROM delivery WHERE org_id = $1 AND user_id = $2 AND kind = $3 AND delivered_at IS NULL;

-- name: list_delivered
-- The newest deliveries in the development outbox.
-- $2: deliveries at most
SELECT delivery_id, channel, recipient, content, created_at
FROM delivery
WHERE org_id = $1 AND delivered_at IS NOT NULL
ORDER BY created_at DESC, delivery_id
LIMIT $2;

-- name: count_waiting
-- How many deliveries of all organisations have been tried and could not be sent yet.
-- $1: channel
-- $2: now
SELECT count(*)
FROM delivery
WHERE channel = $1 AND delivered_at IS NULL AND attempts > 0 AND expires_at > $2;

-- name: count_failing
-- How many deliveries of an organisation have been tried and could not be sent yet.
-- $2: channel
-- $3: now
SELECT count(*)
FROM delivery
WHERE org_id = $1 AND channel = $2 AND delivered_at IS NULL AND attempts > 0 AND expires_at > $3;
