-- The tables `webhook`, who receives changes of profiles, and `webhook_delivery`, what they receive.

-- name: put
-- Insert or replace a webhook; its position stays.
-- $1: organisation
-- $2: id
-- $3: dataset
-- $4: URL
-- $5: view
-- $6: types
-- $7: secrets
-- $8: whether it is active
-- $9: when it was made
-- $10: when it was changed
-- $11: the position of a new one: when its change was recorded
INSERT INTO webhook (
    org_id, webhook_id, dataset_id, url, view, types, secrets_encrypted, is_active, created_at, updated_at,
    recorded_at, observation_id, number, leased_until
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '00000000-0000-0000-0000-000000000000', 0, $9)
ON CONFLICT (org_id, webhook_id) DO UPDATE
SET url = excluded.url, types = excluded.types, view = excluded.view, is_active = excluded.is_active,
    secrets_encrypted = excluded.secrets_encrypted, updated_at = excluded.updated_at;

-- name: list
-- The webhooks of an organisation, the oldest first, with the number of deliveries that wait and are dead.
-- $1: organisation
-- $2: the id of one; null: all
SELECT webhook.webhook_id, webhook.dataset_id, dataset.name AS dataset, url, view, types,
       secrets_encrypted, is_active, webhook.created_at, updated_at, lost_at,
       count(delivery.state) FILTER (WHERE delivery.state = 'waiting') AS waiting,
       count(delivery.state) FILTER (WHERE delivery.state = 'dead') AS dead
FROM webhook
JOIN dataset ON dataset.dataset_id = webhook.dataset_id
LEFT JOIN webhook_delivery AS delivery ON delivery.org_id = $1 AND delivery.webhook_id = webhook.webhook_id
WHERE webhook.org_id = $1 AND (webhook.webhook_id = $2 OR $2 IS NULL)
GROUP BY webhook.org_id, webhook.webhook_id, dataset.name
ORDER BY webhook.created_at, webhook.webhook_id;

-- name: delete
-- Delete a webhook with its deliveries; returns no row if there is none.
-- $1: organisation
-- $2: id
DELETE FROM webhook WHERE org_id = $1 AND webhook_id = $2 RETURNING webhook_id;

-- name: lease
-- Take the active webhooks that nobody serves and that were served least recently.
-- $1: for how many seconds nobody else takes them
-- $2: webhooks at most
UPDATE webhook SET leased_until = now() + make_interval(secs => $1)
FROM organisation, dataset
WHERE organisation.org_id = webhook.org_id AND dataset.dataset_id = webhook.dataset_id
  AND (webhook.org_id, webhook.webhook_id) IN (
    SELECT org_id, webhook_id FROM webhook
    WHERE is_active AND leased_until <= now()
    ORDER BY leased_until
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING webhook.org_id, organisation.handle, webhook.webhook_id, webhook.dataset_id,
          dataset.name AS dataset, url, view, types, secrets_encrypted, recorded_at, observation_id, number,
          leased_until;

-- name: renew
-- Keep a webhook, or let others take it at once; returns until when, or no row if the process lost it.
-- $1: organisation
-- $2: id
-- $3: until when this process has it
-- $4: for how many seconds it keeps it
UPDATE webhook SET leased_until = now() + make_interval(secs => $4)
WHERE org_id = $1 AND webhook_id = $2 AND leased_until = $3
RETURNING leased_until;

-- name: advance
-- Move the position of a webhook, if it is where it was read and the process still has the webhook.
-- $1: organisation
-- $2: id
-- $3 to $5: the position that was read
-- $6 to $8: the new one
-- $9: when changes were lost; null: none was
UPDATE webhook SET recorded_at = $6, observation_id = $7, number = $8, lost_at = coalesce($9, lost_at)
WHERE org_id = $1 AND webhook_id = $2 AND (recorded_at, observation_id, number) = ($3, $4, $5)
RETURNING webhook_id;

-- name: put_deliveries
-- Add deliveries that are due at once.
-- $1: organisation
-- $2: webhook
-- $3: now
-- $4: until when they are tried
-- $5: ids
-- $6: when their changes were recorded
-- $7: the observations of these
-- $8: their numbers
-- $9: profiles, each a list as JSON
-- $10: types
-- $11: bodies
INSERT INTO webhook_delivery (
    org_id, webhook_id, delivery_id, recorded_at, observation_id, number, profile_ids, type, body, state,
    attempts, created_at, due_at, expires_at
)
SELECT $1, $2, row.delivery_id, row.recorded_at, row.observation_id, row.number,
       ARRAY (SELECT jsonb_array_elements_text(row.profile_ids::jsonb)::uuid), row.type, row.body, 'waiting',
       0, $3, $3, $4
FROM unnest($5::uuid[], $6::bigint[], $7::uuid[], $8::integer[], $9::text[], $10::text[], $11::text[])
     AS row (delivery_id, recorded_at, observation_id, number, profile_ids, type, body);

-- name: count_waiting
-- How many deliveries of a webhook wait.
-- $1: organisation
-- $2: webhook
SELECT count(*) FROM webhook_delivery WHERE org_id = $1 AND webhook_id = $2 AND state = 'waiting';

-- name: list_due
-- The next deliveries that are due and share no profile with an earlier one that waits.
-- $1: organisation
-- $2: webhook
-- $3: now
-- $4: deliveries at most
SELECT delivery_id, body, attempts, expires_at
FROM webhook_delivery AS delivery
WHERE org_id = $1 AND webhook_id = $2 AND state = 'waiting' AND due_at <= $3 AND NOT EXISTS (
    SELECT FROM webhook_delivery AS earlier
    WHERE earlier.org_id = $1 AND earlier.webhook_id = $2 AND earlier.state = 'waiting'
      AND (earlier.recorded_at, earlier.observation_id, earlier.number)
        < (delivery.recorded_at, delivery.observation_id, delivery.number)
      AND earlier.profile_ids && delivery.profile_ids
)
ORDER BY recorded_at, observation_id, number
LIMIT $4;

-- name: put_outcome
-- Record the outcome of an attempt.
-- $1: organisation
-- $2: webhook
-- $3: delivery
-- $4: state
-- $5: when it is due again
-- $6: when it was finished; null: it is not
-- $7: why it failed; null: it did not
UPDATE webhook_delivery
SET state = $4, attempts = attempts + 1, due_at = $5, finished_at = $6, failure = $7
WHERE org_id = $1 AND webhook_id = $2 AND delivery_id = $3;

-- name: list_deliveries
-- Deliveries of a webhook before a position, the last first.
-- $1: organisation
-- $2: webhook
-- $3: state; null: any
-- $4 to $6: the position
-- $7: deliveries at most
SELECT delivery_id, recorded_at, observation_id, number, type, body, state, attempts, created_at, due_at,
       finished_at, failure
FROM webhook_delivery
WHERE org_id = $1 AND webhook_id = $2 AND (state = $3 OR $3 IS NULL)
  AND (recorded_at, observation_id, number) < ($4, $5, $6)
ORDER BY recorded_at DESC, observation_id DESC, number DESC
LIMIT $7;

-- name: send_again
-- Make finished deliveries due again; returns them.
-- $1: organisation
-- $2: webhook
-- $3: ids; null: the dead ones
-- $4: now
-- $5: until when they are tried
UPDATE webhook_delivery
SET state = 'waiting', attempts = 0, due_at = $4, expires_at = $5, finished_at = NULL, failure = NULL
WHERE org_id = $1 AND webhook_id = $2 AND state <> 'waiting'
  AND CASE WHEN $3::uuid[] IS NULL THEN state = 'dead' ELSE delivery_id = ANY ($3::uuid[]) END
RETURNING delivery_id;

-- name: delete_finished
-- Delete what was finished before an instant; returns how much.
-- $1: the instant
WITH gone AS (DELETE FROM webhook_delivery WHERE finished_at < $1 RETURNING 1)
SELECT count(*) FROM gone;
