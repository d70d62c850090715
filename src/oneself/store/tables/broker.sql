-- The tables `broker`, who publishes changes to a message broker, and `broker_position`, up to where.
-- $1 is the broker unless a statement says otherwise.

-- name: lease
-- Take or renew the lease; returns no row if another process has it.
-- $2: this process
-- $3: seconds
INSERT INTO broker (broker, holder, leased_until) VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (broker) DO UPDATE SET holder = excluded.holder, leased_until = excluded.leased_until
WHERE broker.holder = excluded.holder OR broker.leased_until < now()
RETURNING holder;

-- name: release
-- Let others take the lease.
-- $2: this process
UPDATE broker SET leased_until = now() WHERE broker = $1 AND holder = $2;

-- name: put_failure
-- Record that publishing fails, or does not any more.
-- $2: this process
-- $3: why; null: it does not
UPDATE broker
SET failure = $3, failing_since = CASE WHEN $3::text IS NOT NULL THEN coalesce(failing_since, now()) END
WHERE broker = $1 AND holder = $2;

-- name: find
-- Whether publishing fails, since when, and why.
SELECT failing_since, failure FROM broker WHERE broker = $1;

-- name: list_behind
-- The views of datasets that have changes after their position, those that wait for longest first.
-- $1: views
-- $2: rows at most
SELECT dataset.org_id, organisation.handle, dataset.dataset_id, dataset.name AS dataset, asked.view,
       coalesce(known.recorded_at, 0) AS recorded_at,
       coalesce(known.observation_id, '00000000-0000-0000-0000-000000000000') AS observation_id,
       coalesce(known.number, 0) AS number, next.recorded_at AS next_at
FROM dataset
JOIN organisation USING (org_id)
CROSS JOIN unnest($1::text[]) AS asked (view)
LEFT JOIN broker_position AS known ON known.dataset_id = dataset.dataset_id AND known.view = asked.view
CROSS JOIN LATERAL (
    SELECT change.recorded_at
    FROM profile_change AS change
    WHERE change.dataset_id = dataset.dataset_id
      AND (change.recorded_at, change.observation_id) >= (
          coalesce(known.recorded_at, 0),
          coalesce(known.observation_id, '00000000-0000-0000-0000-000000000000')
      )
    ORDER BY change.recorded_at, change.observation_id
    LIMIT 1
) AS next
ORDER BY next.recorded_at, dataset.dataset_id, asked.view
LIMIT $2;

-- name: advance
-- Move the position of a view, if this process has the lease; returns no row otherwise.
-- $2: this process
-- $3: dataset
-- $4: view
-- $5 to $7: the position
-- $8: when changes were lost; null: none was
INSERT INTO broker_position (dataset_id, view, recorded_at, observation_id, number, lost_at)
SELECT $3, $4, $5, $6, $7, $8 FROM broker WHERE broker = $1 AND holder = $2
ON CONFLICT (dataset_id, view) DO UPDATE
SET recorded_at = excluded.recorded_at, observation_id = excluded.observation_id, number = excluded.number,
    lost_at = coalesce(excluded.lost_at, broker_position.lost_at)
RETURNING dataset_id;

-- name: list_lost
-- The views of datasets of which changes were lost, the last first.
-- $1: rows at most
SELECT organisation.handle, dataset.name AS dataset, known.view, known.lost_at
FROM broker_position AS known
JOIN dataset USING (dataset_id)
JOIN organisation USING (org_id)
WHERE known.lost_at IS NOT NULL
ORDER BY known.lost_at DESC
LIMIT $1;
