-- The table `verification_queue`: what the other datasets of an organisation have yet to record of what users
-- verified in the dataset `default`.

-- name: put
-- Queue changes for the other datasets, if the dataset is the one in which users verify.
-- $2: changes
-- $3: users
-- $4: paths, with the keys joined by U+001F
-- $5: values
-- $6: when the identifiers of the claims last changed hands
INSERT INTO verification_queue (dataset_id, change, user_id, path, value, begins)
SELECT other.dataset_id, row.change, row.user_id, string_to_array(row.path, E'\x1f'), row.value, row.begins
FROM dataset AS home
JOIN dataset AS other ON other.org_id = home.org_id AND other.dataset_id <> home.dataset_id
CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
     WITH ORDINALITY AS row (change, user_id, path, value, begins, number)
WHERE home.dataset_id = $1 AND home.name = 'default'
ORDER BY row.number, other.dataset_id;

-- name: put_all
-- Queue everything that is verified in `default` for a dataset.
INSERT INTO verification_queue (dataset_id, change) VALUES ($1, 'all');

-- name: delete_of_users
-- Delete what is queued of users for the other datasets, if the dataset is the one in which users verify.
-- $2: users
DELETE FROM verification_queue AS queued
USING dataset AS home
JOIN dataset AS other ON other.org_id = home.org_id AND other.dataset_id <> home.dataset_id
WHERE home.dataset_id = $1 AND home.name = 'default'
  AND queued.dataset_id = other.dataset_id AND queued.user_id = ANY ($2::text[])
  AND queued.change <> 'all';

-- name: put_users
-- Queue a change of users for the other datasets that have recorded what they verified.
-- $2: change
-- $3: users
-- A dataset that copies what is verified may have recorded it in a transaction that is not seen yet.
INSERT INTO verification_queue (dataset_id, change, user_id)
SELECT other.dataset_id, $2, changed.user_id
FROM dataset AS home
JOIN dataset AS other ON other.org_id = home.org_id AND other.dataset_id <> home.dataset_id
CROSS JOIN unnest($3::text[]) AS changed (user_id)
WHERE home.dataset_id = $1 AND home.name = 'default'
  AND (EXISTS (SELECT FROM log WHERE dataset_id = other.dataset_id AND kind = 'verification'
                 AND content ->> 'user_id' = changed.user_id)
       OR EXISTS (SELECT FROM verification_queue AS queued
                  WHERE queued.dataset_id = other.dataset_id
                    AND (queued.user_id = changed.user_id OR queued.change = 'all')));

-- name: put_compared
-- Queue what users have verified in `default` for a dataset.
-- $2: users
INSERT INTO verification_queue (dataset_id, change, user_id)
SELECT $1, 'compared', user_id FROM unnest($2::text[]) AS row (user_id);

-- name: drop_user
-- Delete what is queued of a user for a dataset.
-- $2: user
DELETE FROM verification_queue WHERE dataset_id = $1 AND user_id = $2 AND change <> 'all';

-- name: list_datasets
-- The datasets for which anything is queued.
SELECT dataset_id FROM dataset
WHERE EXISTS (SELECT FROM verification_queue AS queued WHERE queued.dataset_id = dataset.dataset_id)
ORDER BY dataset_id;

-- name: try_lock
-- Let no other process work on what is queued for a dataset until this transaction ends; false if one does.
-- $1: hash of the dataset's queue
SELECT pg_try_advisory_xact_lock($1);

-- name: list_next
-- What is queued first for a dataset, in order.
-- $2: rows at most
SELECT position, change, user_id, path, value, begins
FROM verification_queue
WHERE dataset_id = $1
ORDER BY position
LIMIT $2;

-- name: list_verified
-- The next claims that are verified in `default` of the dataset's organisation, by user and path.
-- $2: the user before them
-- $3: the path before them, with the keys joined by U+001F
-- $4: rows at most; null: all
-- $5: the only user; null: every user
SELECT 'verified' AS change, verified.user_id, verified.path, verified.value, coalesce((
    SELECT max(moment)
    FROM jsonb_array_elements(verified.identifiers) AS item
    JOIN identifier_transfer AS transfer
      ON transfer.dataset_id = home.dataset_id AND transfer.namespace = item ->> 'namespace'
      AND transfer.value = item ->> 'value'
    CROSS JOIN unnest(transfer.transferred_at) AS moment
    WHERE moment <= verified.since
), 0) AS begins
FROM dataset AS own
JOIN dataset AS home ON home.org_id = own.org_id AND home.name = 'default'
JOIN verified_claim AS verified ON verified.dataset_id = home.dataset_id
WHERE own.dataset_id = $1 AND (verified.user_id, verified.path) > ($2, string_to_array($3, E'\x1f'))
  AND ($5::text IS NULL OR verified.user_id = $5)
ORDER BY verified.user_id, verified.path
LIMIT $4;

-- name: advance
-- Record how far a dataset has what is verified in `default`.
-- $2: position of the row
-- $3: user
-- $4: path, with the keys joined by U+001F
UPDATE verification_queue SET user_id = $3, path = string_to_array($4, E'\x1f')
WHERE dataset_id = $1 AND position = $2;

-- name: delete
-- Delete what a dataset has recorded.
-- $2: positions
DELETE FROM verification_queue WHERE dataset_id = $1 AND position = ANY ($2::bigint[]);
