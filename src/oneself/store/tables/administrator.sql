-- The table `administrator`: the console's users. $1 is the organisation.

-- name: find_password
-- The password hash of a console user.
-- $2: username
SELECT password_hash FROM administrator WHERE org_id = $1 AND username = $2;

-- name: list
-- The names of the console users, in order.
SELECT username FROM administrator WHERE org_id = $1 ORDER BY username;

-- name: put
-- Insert a console user unless there is one of this name.
-- $2: username
-- $3: password hash
-- $4: now
INSERT INTO administrator (org_id, username, password_hash, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT administrator_pkey DO NOTHING
RETURNING username;

-- name: put_password
-- Insert a console user, or replace the password of the one of this name.
-- $2: username
-- $3: password hash
-- $4: now
INSERT INTO administrator (org_id, username, password_hash, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT ON CONSTRAINT administrator_pkey
DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at;
