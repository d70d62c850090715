-- The table `claim_sync`: how far the claims of identity servers are mirrored. $1 is the organisation unless
-- a statement says otherwise.

-- name: request
-- Request that the organisation's claims are read again, now.
INSERT INTO claim_sync (org_id, requested, next_at) VALUES ($1, 1, now())
ON CONFLICT (org_id) DO UPDATE SET requested = claim_sync.requested + 1, next_at = now();

-- name: schedule
-- Schedule every organisation that has an identity server and is not scheduled yet.
-- $1: whether the deployment has one for all
INSERT INTO claim_sync (org_id, next_at)
SELECT org_id, now() FROM organisation
WHERE ($1 OR EXISTS (SELECT FROM identity_server WHERE identity_server.org_id = organisation.org_id))
  AND NOT EXISTS (SELECT FROM claim_sync WHERE claim_sync.org_id = organisation.org_id)
ON CONFLICT (org_id) DO NOTHING;

-- name: lease_next
-- Lease the organisation that is due for longest and that no other process has leased.
-- $1: seconds
UPDATE claim_sync SET lease_until = now() + make_interval(secs => $1)
WHERE org_id = (
    SELECT org_id FROM claim_sync
    WHERE next_at <= now() AND coalesce(lease_until, '-infinity') < now()
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING requested,
          (SELECT handle FROM organisation WHERE organisation.org_id = claim_sync.org_id) AS handle;

-- name: lease
-- Lease the organisation unless another process has; returns no row then.
-- $2: seconds
INSERT INTO claim_sync (org_id, next_at, lease_until) VALUES ($1, now(), now() + make_interval(secs => $2))
ON CONFLICT (org_id) DO UPDATE SET lease_until = excluded.lease_until
WHERE coalesce(claim_sync.lease_until, '-infinity') < now()
RETURNING requested;

-- name: renew
-- Renew the lease.
-- $2: seconds
UPDATE claim_sync SET lease_until = now() + make_interval(secs => $2) WHERE org_id = $1;

-- name: release
-- Give the lease back without a result.
UPDATE claim_sync SET lease_until = NULL WHERE org_id = $1;

-- name: put_success
-- Record that the claims were read; the next time is now if requests have come since.
-- $2: the requests that are done
-- $3: seconds until the next time, of which a tenth more or less is drawn
UPDATE claim_sync
SET done = $2, failures = 0, succeeded_at = now(), failure = NULL, lease_until = NULL,
    next_at = CASE WHEN requested > $2 THEN now()
                   ELSE now() + make_interval(secs => $3 * (0.9 + 0.2 * random())) END
WHERE org_id = $1;

-- name: put_failure
-- Record that the claims could not be read; the pause until the next time doubles with each failure.
-- $2: why
-- $3: the longest pause in seconds
UPDATE claim_sync
SET failures = failures + 1, failed_at = now(), failure = $2, lease_until = NULL,
    next_at = now() + make_interval(secs => least($3, 2 ^ least(failures, 20)) * (0.9 + 0.2 * random()))
WHERE org_id = $1;

-- name: find
-- How far the organisation's claims are mirrored.
SELECT requested, done, failures, next_at, succeeded_at, failed_at, failure FROM claim_sync WHERE org_id = $1;
