-- The table `view_profile`: what two or more fragments amount to in a view.

-- name: find
-- Profiles of a view.
-- $2: view
-- $3: profile ids
SELECT view, profile_id, user_id, created_at, updated_at, record_values::text, provenance::text,
       choices::text, absorbed::text
FROM view_profile
WHERE dataset_id = $1 AND view = $2 AND profile_id = ANY ($3::uuid[]);

-- name: lock
-- Profiles of views, locked in the order of view and id.
-- $2: views
-- $3: profile ids, in the same order
SELECT view, profile_id, user_id, created_at, updated_at, record_values::text, provenance::text,
       choices::text, absorbed::text
FROM view_profile
WHERE dataset_id = $1 AND (view, profile_id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]))
ORDER BY view, profile_id
FOR NO KEY UPDATE;

-- name: put
-- Insert or replace profiles of views.
-- $2: views
-- $3: profile ids
-- $4: users
-- $5: when they were created, in µs
-- $6: when they last changed, in µs
-- $7: values
-- $8: provenance
-- $9: consent choices
-- $10: absorbed profiles
INSERT INTO view_profile (
    dataset_id, view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices,
    absorbed
)
SELECT $1, row.view, row.profile_id, row.user_id, row.created_at, row.updated_at, row.record_values::jsonb,
       row.provenance::jsonb, row.choices::jsonb, row.absorbed::jsonb
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::text[], $10::text[])
     AS row (view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices, absorbed)
ON CONFLICT (dataset_id, view, profile_id) DO UPDATE
SET user_id = excluded.user_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
    record_values = excluded.record_values, provenance = excluded.provenance, choices = excluded.choices,
    absorbed = excluded.absorbed;

-- name: delete
-- Delete profiles of views.
-- $2: views
-- $3: profile ids, in the same order
DELETE FROM view_profile
WHERE dataset_id = $1 AND (view, profile_id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]));
