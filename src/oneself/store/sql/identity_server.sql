-- name: find_identity_server
-- The own identity server of an organisation ($1).
SELECT url, client_id, grant_type, sync_username, secrets_sealed, updated_at FROM identity_server WHERE org_id = $1;

-- name: put_identity_server
-- Give an organisation ($1) an identity server of its own: $2 address, $3 client, $4 grant, $5 sync user, $6 sealed secrets.
INSERT INTO identity_server (org_id, url, client_id, grant_type, sync_username, secrets_sealed, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT (org_id) DO UPDATE
SET url = excluded.url, client_id = excluded.client_id, grant_type = excluded.grant_type,
    sync_username = excluded.sync_username, secrets_sealed = excluded.secrets_sealed, updated_at = now();

-- name: delete_identity_server
-- Let an organisation ($1) use the deployment's settings again.
DELETE FROM identity_server WHERE org_id = $1 RETURNING org_id;

-- name: request_claim_sync
-- Ask for the claims of an organisation ($1) to be read again, now.
INSERT INTO claim_sync (org_id, requested, next_at) VALUES ($1, 1, now())
ON CONFLICT (org_id) DO UPDATE SET requested = claim_sync.requested + 1, next_at = now();

-- name: schedule_claim_sync
-- Let every organisation that has an identity server be read in its turn; $1: the deployment has one for all.
INSERT INTO claim_sync (org_id, next_at)
SELECT org_id, now() FROM organisation
WHERE ($1 OR EXISTS (SELECT FROM identity_server WHERE identity_server.org_id = organisation.org_id))
  AND NOT EXISTS (SELECT FROM claim_sync WHERE claim_sync.org_id = organisation.org_id)
ON CONFLICT (org_id) DO NOTHING;

-- name: lease_claim_sync
-- Take one organisation that is due and that nobody is at, for $1 seconds.
UPDATE claim_sync SET lease_until = now() + make_interval(secs => $1)
WHERE org_id = (
    SELECT org_id FROM claim_sync
    WHERE next_at <= now() AND coalesce(lease_until, '-infinity') < now()
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING org_id, requested, (SELECT handle FROM organisation WHERE organisation.org_id = claim_sync.org_id) AS handle;

-- name: lease_claim_sync_of
-- Take this organisation ($1) unless somebody is at it, for $2 seconds.
INSERT INTO claim_sync (org_id, next_at, lease_until) VALUES ($1, now(), now() + make_interval(secs => $2))
ON CONFLICT (org_id) DO UPDATE SET lease_until = excluded.lease_until
WHERE coalesce(claim_sync.lease_until, '-infinity') < now()
RETURNING requested;

-- name: keep_claim_sync
-- Whoever reads an organisation's ($1) claims is alive; keep it for $2 seconds more.
UPDATE claim_sync SET lease_until = now() + make_interval(secs => $2) WHERE org_id = $1;

-- name: release_claim_sync
-- Nobody is at an organisation ($1) any more, and nothing came of it.
UPDATE claim_sync SET lease_until = NULL WHERE org_id = $1;

-- name: end_claim_sync
-- Events up to $2 of an organisation ($1) are answered; the next look is in about $3 seconds, or now if more came.
UPDATE claim_sync
SET done = $2, failures = 0, succeeded_at = now(), failure = NULL, lease_until = NULL,
    next_at = CASE WHEN requested > $2 THEN now() ELSE now() + make_interval(secs => $3 * (0.9 + 0.2 * random())) END
WHERE org_id = $1;

-- name: fail_claim_sync
-- A look at an organisation's ($1) claims failed ($2 says how); the next is after a while that doubles, at most $3 seconds.
UPDATE claim_sync
SET failures = failures + 1, failed_at = now(), failure = $2, lease_until = NULL,
    next_at = now() + make_interval(secs => least($3, 2 ^ least(failures, 20)) * (0.9 + 0.2 * random()))
WHERE org_id = $1;

-- name: find_claim_sync
-- How far the claims of an organisation ($1) are mirrored.
SELECT requested, done, failures, next_at, succeeded_at, failed_at, failure FROM claim_sync WHERE org_id = $1;

-- name: put_skipped_claims
-- Count claims that were skipped: $2 paths, $3 problems, $4 times.
INSERT INTO skipped_claim (dataset_id, path, problem, times, first_at, last_at)
SELECT $1, path, problem, times, now(), now()
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS skipped (path, problem, times)
ORDER BY path, problem
ON CONFLICT (dataset_id, path, problem) DO UPDATE
SET times = skipped_claim.times + excluded.times, last_at = now();

-- name: find_skipped_claims
-- What was skipped in a dataset ($1), the latest first.
SELECT path, problem, times, first_at, last_at FROM skipped_claim WHERE dataset_id = $1 ORDER BY last_at DESC, path;

-- name: find_attribute_ids
-- Every id that an identity attribute of one of these names ($2) ever had, the latest last.
SELECT attribute ->> 'attribute_name' AS name, attribute ->> 'attribute_id' AS attribute_id
FROM log
CROSS JOIN LATERAL jsonb_array_elements(
    CASE WHEN content #>> '{change,type}' = 'several' THEN content #> '{change,changes}'
         ELSE jsonb_build_array(content -> 'change') END
) AS change
CROSS JOIN LATERAL jsonb_array_elements(coalesce(change -> 'attributes', '[]')) AS attribute
WHERE log.dataset_id = $1 AND log.kind = 'configure' AND attribute ->> 'attribute_name' = ANY ($2::text[])
ORDER BY log.seq;
