-- The tables `console_user` and `console_role`: the users of the console and their roles. $1 is not a dataset
-- here: each statement says what it is.

-- name: find
-- A console user by name, the exact one if several differ in case alone.
-- $1: username
SELECT console_user_id, username, password_hash FROM console_user
WHERE lower(username) = lower($1)
  AND (username = $1 OR NOT EXISTS (
      SELECT FROM console_user AS other
      WHERE lower(other.username) = lower($1) AND other.username <> console_user.username
  ));

-- name: lock
-- Let nobody else create a console user until the transaction ends.
LOCK TABLE console_user IN SHARE ROW EXCLUSIVE MODE;

-- name: list
-- Every console user with their roles, by name.
SELECT console_user.username, console_user.created_at, organisation.handle, console_role.role
FROM console_user
LEFT JOIN console_role ON console_role.console_user_id = console_user.console_user_id
LEFT JOIN organisation ON organisation.org_id = console_role.org_id
ORDER BY console_user.username, organisation.handle;

-- name: find_of
-- The console users with a role in an organisation, by name.
-- $1: organisation
SELECT console_user.username, console_role.role
FROM console_role JOIN console_user ON console_user.console_user_id = console_role.console_user_id
WHERE console_role.org_id = $1
ORDER BY console_user.username;

-- name: find_roles
-- The roles of a console user, by the handle of the organisation.
-- $1: console user
SELECT organisation.org_id, organisation.handle, organisation.name, console_role.role
FROM console_role JOIN organisation ON organisation.org_id = console_role.org_id
WHERE console_role.console_user_id = $1
ORDER BY organisation.handle;

-- name: put
-- Insert a console user after `lock`; returns no row if the name is in use, in whatever case.
-- $1: id
-- $2: username
-- $3: password hash
-- $4: now
INSERT INTO console_user (console_user_id, username, password_hash, created_at, updated_at)
SELECT $1, $2, $3, $4, $4
WHERE NOT EXISTS (SELECT FROM console_user WHERE lower(username) = lower($2))
RETURNING console_user_id;

-- name: put_password
-- Replace the password of a console user.
-- $1: console user
-- $2: password hash
-- $3: now
UPDATE console_user SET password_hash = $2, updated_at = $3 WHERE console_user_id = $1;

-- name: put_role
-- Give a console user a role in an organisation instead of the one that they have there.
-- $1: console user
-- $2: organisation
-- $3: role
INSERT INTO console_role (console_user_id, org_id, role) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT console_role_pkey DO UPDATE SET role = excluded.role;

-- name: delete_role
-- Take the role in an organisation from a console user.
-- $1: console user
-- $2: organisation
DELETE FROM console_role WHERE console_user_id = $1 AND org_id = $2;

-- name: delete
-- Delete a console user with their roles, codes and sessions.
-- $1: console user
DELETE FROM console_user WHERE console_user_id = $1;
