-- The table `reindex_job`: the work of a configuration change on the profiles that exist.

-- name: start
-- Start a job, or start it again from the first profile.
-- $2: job id
INSERT INTO reindex_job (dataset_id, job_id, state, total, started_at, updated_at)
SELECT $1, $2, 'running',
       (SELECT count(*) FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased),
       now(), now()
ON CONFLICT (dataset_id, job_id) DO UPDATE
SET state = 'running', after_id = NULL, after_since = NULL, seen = 0, indexed = 0, merged = 0,
    total = excluded.total, started_at = now(), updated_at = now(), lease_until = NULL;

-- name: cancel
-- Cancel a job if it is running.
-- $2: job id
UPDATE reindex_job SET state = 'cancelled', updated_at = now()
WHERE dataset_id = $1 AND job_id = $2 AND state = 'running';

-- name: lease
-- Lease the oldest running job of any dataset that no worker has a lease on.
-- $1: duration of the lease in seconds
UPDATE reindex_job SET lease_until = now() + make_interval(secs => $1), updated_at = now()
WHERE (dataset_id, job_id) = (
    SELECT dataset_id, job_id FROM reindex_job
    WHERE state = 'running' AND coalesce(lease_until, '-infinity') < now()
    ORDER BY started_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING dataset_id, job_id, after_since, after_id, started_at, lease_until;

-- name: put_progress
-- Record the progress of a job and renew the lease; nothing is returned if the lease is lost.
-- $2: job id
-- $3: age of the last profile of the page
-- $4: last profile of the page
-- $5: profiles seen
-- $6: profiles indexed
-- $7: profiles merged
-- $8: duration of the lease in seconds
-- $9: end of the present lease
-- A lease is lost to another worker, or because the job was cancelled or started again.
UPDATE reindex_job
SET after_since = $3, after_id = $4, seen = seen + $5, indexed = indexed + $6, merged = merged + $7,
    updated_at = now(), lease_until = now() + make_interval(secs => $8)
WHERE dataset_id = $1 AND job_id = $2 AND state = 'running' AND lease_until = $9
RETURNING lease_until;

-- name: finish
-- Finish a job if its lease is not lost.
-- $2: job id
-- $3: end of the present lease
UPDATE reindex_job SET state = 'done', updated_at = now(), lease_until = NULL
WHERE dataset_id = $1 AND job_id = $2 AND state = 'running' AND lease_until = $3;

-- name: find_progress
-- The progress of every job of a dataset, in the order of their starts.
SELECT job_id, state, seen, indexed, merged, total, started_at, updated_at
FROM reindex_job WHERE dataset_id = $1 ORDER BY started_at, job_id;

-- name: is_running
-- Whether a job of a dataset is not finished.
SELECT EXISTS (SELECT FROM reindex_job WHERE dataset_id = $1 AND state = 'running');
