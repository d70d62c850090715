-- The tables `verified_claim` and `identifier_transfer`: who proved an identifier, and when it changed hands.

-- name: find
-- The verified claims of users, and those of whoever verified one of these values, in whatever case.
-- $2: users
-- $3: paths, with the keys joined by U+001F
-- $4: values, in the same order
SELECT user_id, path, value, since, identifiers::text FROM verified_claim
WHERE dataset_id = $1 AND user_id = ANY ($2::text[])
UNION ALL
SELECT verified.user_id, verified.path, verified.value, verified.since, verified.identifiers
FROM unnest($3::text[], $4::text[]) AS sought (path, value)
CROSS JOIN LATERAL (
    SELECT user_id, path, value, since, identifiers::text FROM verified_claim
    WHERE dataset_id = $1 AND path = string_to_array(sought.path, E'\x1f')
      AND lower(value) = lower(sought.value)
      AND user_id <> ALL ($2::text[])
    OFFSET 0
) AS verified;

-- name: put
-- Insert or replace verified claims.
-- $2: users
-- $3: paths, with the keys joined by U+001F
-- $4: values
-- $5: seqs
-- $6: identifiers
INSERT INTO verified_claim (dataset_id, user_id, path, value, since, identifiers)
SELECT $1, row.user_id, string_to_array(row.path, E'\x1f'), row.value, row.since, row.identifiers::jsonb
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
     AS row (user_id, path, value, since, identifiers)
ON CONFLICT (dataset_id, user_id, path) DO UPDATE
SET value = excluded.value, since = excluded.since, identifiers = excluded.identifiers;

-- name: delete
-- Delete claims that are no longer verified.
-- $2: users
-- $3: paths, with the keys joined by U+001F
DELETE FROM verified_claim
USING unnest($2::text[], $3::text[]) AS row (user_id, path)
WHERE dataset_id = $1 AND verified_claim.user_id = row.user_id
  AND verified_claim.path = string_to_array(row.path, E'\x1f');

-- name: find_transfers
-- When identifiers changed hands.
-- $2: namespaces
-- $3: values
SELECT transfer.*
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT namespace, value, transferred_at FROM identifier_transfer
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
    OFFSET 0
) AS transfer;

-- name: put_transfers
-- Record when identifiers changed hands.
-- $2: a JSON array of transfers
INSERT INTO identifier_transfer (dataset_id, namespace, value, transferred_at)
SELECT $1, namespace, value, transferred_at
FROM jsonb_to_recordset($2::text::jsonb) AS row (namespace text, value text, transferred_at bigint[])
ON CONFLICT (dataset_id, namespace, value) DO UPDATE SET transferred_at = excluded.transferred_at;

-- name: delete_of_users
-- Delete everything that users verified, and when identifiers changed hands.
-- $2: users
-- $3: namespaces
-- $4: values
WITH transfers AS (
    DELETE FROM identifier_transfer
    USING unnest($3::text[], $4::text[]) AS row (namespace, value)
    WHERE dataset_id = $1 AND identifier_transfer.namespace = row.namespace
      AND identifier_transfer.value = row.value
)
DELETE FROM verified_claim WHERE dataset_id = $1 AND user_id = ANY ($2::text[]);
