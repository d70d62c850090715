-- The table `profile_change`, what changed of profiles, and `profile_change_floor`, how far it reaches back.

-- name: put
-- Append changes, each row those of one observation in one step.
-- $2: observations
-- $3: their changes
-- $4: steps, from 0 on
-- Whoever changed the same profiles before has committed, so that the instant is later than theirs, also if
-- the clock was set back.
INSERT INTO profile_change (dataset_id, recorded_at, observation_id, changes)
SELECT $1, present.at + row.step, row.observation_id, row.changes::json
FROM unnest($2::uuid[], $3::text[], $4::integer[]) AS row (observation_id, changes, step)
CROSS JOIN (
    SELECT greatest(
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
        (SELECT max(recorded_at) + 1 FROM profile_change WHERE dataset_id = $1)
    ) AS at
    OFFSET 0
) AS present;

-- name: list_after
-- The changes of the next observations, in order.
-- $2: when they were recorded, at the earliest
-- $3: the first observation of that instant
-- $4: the instant before which they were recorded
-- $5: observations at most
SELECT recorded_at, observation_id, changes::text
FROM profile_change
WHERE dataset_id = $1 AND (recorded_at, observation_id) >= ($2, $3) AND recorded_at < $4
ORDER BY recorded_at, observation_id
LIMIT $5;

-- name: find_floor
-- The instant before which changes are deleted; 0 if none is.
SELECT coalesce((SELECT floor_at FROM profile_change_floor WHERE dataset_id = $1), 0);

-- name: put_floor
-- Make everything that was recorded up to now too old.
INSERT INTO profile_change_floor (dataset_id, floor_at)
SELECT $1, greatest(
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    (SELECT max(recorded_at) + 1 FROM profile_change WHERE dataset_id = $1)
)
ON CONFLICT (dataset_id) DO UPDATE SET floor_at = greatest(profile_change_floor.floor_at, excluded.floor_at);

-- name: delete_before
-- Delete the oldest changes before an instant, and record how far they reach back then.
-- $2: the instant
-- $3: observations at most
WITH gone AS (
    DELETE FROM profile_change
    WHERE dataset_id = $1 AND (recorded_at, observation_id) IN (
        SELECT recorded_at, observation_id FROM profile_change
        WHERE dataset_id = $1 AND recorded_at < $2
        ORDER BY recorded_at, observation_id
        LIMIT $3
    )
    RETURNING recorded_at
), moved AS (
    INSERT INTO profile_change_floor (dataset_id, floor_at)
    SELECT $1, max(recorded_at) + 1 FROM gone HAVING count(*) > 0
    ON CONFLICT (dataset_id) DO UPDATE
    SET floor_at = greatest(profile_change_floor.floor_at, excluded.floor_at)
)
SELECT count(*) FROM gone;

-- name: find_next_dataset
-- The next dataset with changes, in the order of ids.
-- $1: the id before it
SELECT min(dataset_id) FROM profile_change WHERE dataset_id > $1;
