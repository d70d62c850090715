-- The table `organisation`. $1 is not a dataset here: each statement says what it is.

-- name: find
-- An organisation with one of its datasets.
-- $1: handle
-- $2: the dataset's name
SELECT organisation.org_id, organisation.handle, dataset.dataset_id
FROM organisation
JOIN dataset ON dataset.org_id = organisation.org_id AND dataset.name = $2
WHERE organisation.handle = $1;

-- name: list
-- Every organisation with the numbers of its applications and accounts, by handle.
SELECT handle, name, created_at,
       (SELECT count(*) FROM application WHERE application.org_id = organisation.org_id) AS applications,
       (SELECT count(*) FROM account WHERE account.org_id = organisation.org_id) AS accounts
FROM organisation
ORDER BY handle;

-- name: put
-- Insert an organisation; returns no row if the handle is taken.
-- $1: handle
-- $2: name
-- $3: now
INSERT INTO organisation (handle, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT organisation_handle_key DO NOTHING
RETURNING org_id;

-- name: lock
-- Let no other transaction change the settings of an organisation until this one ends.
-- $1: organisation
-- Rows that refer to the organisation can be written meanwhile.
SELECT FROM organisation WHERE org_id = $1 FOR NO KEY UPDATE;

-- name: exists
-- Whether the database has an organisation.
-- Without one, nothing was encrypted in it.
SELECT EXISTS (SELECT FROM organisation);
