-- The table `view_profile`: what two or more fragments amount to in a view.

-- name: find_of_fragment
-- The profile that a fragment belongs to in a view: its survivor, and what that amounts to.
-- $2: view
-- $3: fragment
-- One statement sees one instant. OFFSET 0 keeps it one look-up by an index for each table.
SELECT asked.fragment_id AS asked_id, {fragment_columns}, {unified_columns}
FROM (
    SELECT fragment_id, CASE $2::text WHEN 'own' THEN own_id ELSE proven_id END AS survivor_id
    FROM fragment
    WHERE dataset_id = $1 AND fragment_id = $3
    OFFSET 0
) AS asked
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = asked.survivor_id
LEFT JOIN view_profile AS unified
  ON unified.dataset_id = $1 AND unified.view = $2 AND unified.profile_id = asked.survivor_id;

-- name: find_alone_of_fragment
-- As `find_of_fragment`, without what the profile absorbed: that may be very much.
-- $2: view
-- $3: fragment
SELECT asked.fragment_id AS asked_id, {fragment_columns}, {unified_columns_alone}
FROM (
    SELECT fragment_id, CASE $2::text WHEN 'own' THEN own_id ELSE proven_id END AS survivor_id
    FROM fragment
    WHERE dataset_id = $1 AND fragment_id = $3
    OFFSET 0
) AS asked
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = asked.survivor_id
LEFT JOIN view_profile AS unified
  ON unified.dataset_id = $1 AND unified.view = $2 AND unified.profile_id = asked.survivor_id;

-- name: find_of_user
-- The profile that the own fragment of a user belongs to in a view, as `find_of_fragment`.
-- $2: view
-- $3: user
-- One statement sees one instant. OFFSET 0 keeps it one look-up by an index for each table.
SELECT asked.fragment_id AS asked_id, {fragment_columns}, {unified_columns}
FROM (
    SELECT fragment_id, CASE $2::text WHEN 'own' THEN own_id ELSE proven_id END AS survivor_id
    FROM fragment
    WHERE dataset_id = $1 AND origin = 'user' AND owner_id IS NOT NULL AND owner_id = $3
    OFFSET 0
) AS asked
JOIN fragment ON fragment.dataset_id = $1 AND fragment.fragment_id = asked.survivor_id
LEFT JOIN view_profile AS unified
  ON unified.dataset_id = $1 AND unified.view = $2 AND unified.profile_id = asked.survivor_id;

-- name: lock
-- Profiles of views, locked in the order of view and id.
-- $2: views
-- $3: profile ids, in the same order
SELECT {unified_columns}
FROM view_profile AS unified
WHERE dataset_id = $1 AND (view, profile_id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]))
ORDER BY view, profile_id
FOR NO KEY UPDATE;

-- name: lock_alone
-- The same without the profiles that were absorbed: there may be very many.
-- $2: views
-- $3: profile ids, in the same order
SELECT {unified_columns_alone}
FROM view_profile AS unified
WHERE dataset_id = $1 AND (view, profile_id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]))
ORDER BY view, profile_id
FOR NO KEY UPDATE;

-- name: advance
-- Replace profiles of views that exist, and append what they absorbed since.
-- $2: views
-- $3: profile ids
-- $4: users
-- $5: when they were created, in µs
-- $6: when they last changed, in µs
-- $7: values
-- $8: provenance
-- $9: consent choices
-- $10: profiles absorbed since
-- $11: the fragments that rank first
-- The insertion always conflicts: no join, so nothing to plan wrongly. A long list that stays as it is, is
-- not rewritten.
INSERT INTO view_profile AS stored (
    dataset_id, view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices,
    absorbed, head_id
)
SELECT $1, row.view, row.profile_id, row.user_id, row.created_at, row.updated_at, row.record_values::jsonb,
       row.provenance::jsonb, row.choices::jsonb, row.absorbed::jsonb, row.head_id
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::uuid[])
     AS row (view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices, absorbed,
             head_id)
ON CONFLICT (dataset_id, view, profile_id) DO UPDATE
SET created_at = excluded.created_at, updated_at = excluded.updated_at,
    record_values = excluded.record_values, provenance = excluded.provenance, choices = excluded.choices,
    absorbed = CASE
        WHEN excluded.absorbed = '[]' THEN stored.absorbed
        ELSE stored.absorbed || excluded.absorbed
    END;

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
-- $11: the fragments that rank first
INSERT INTO view_profile (
    dataset_id, view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices,
    absorbed, head_id
)
SELECT $1, row.view, row.profile_id, row.user_id, row.created_at, row.updated_at, row.record_values::jsonb,
       row.provenance::jsonb, row.choices::jsonb, row.absorbed::jsonb, row.head_id
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::uuid[])
     AS row (view, profile_id, user_id, created_at, updated_at, record_values, provenance, choices, absorbed,
             head_id)
ON CONFLICT (dataset_id, view, profile_id) DO UPDATE
SET user_id = excluded.user_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
    record_values = excluded.record_values, provenance = excluded.provenance, choices = excluded.choices,
    absorbed = excluded.absorbed, head_id = excluded.head_id;

-- name: delete
-- Delete profiles of views.
-- $2: views
-- $3: profile ids, in the same order
DELETE FROM view_profile
WHERE dataset_id = $1 AND (view, profile_id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]));

-- name: list_proven_values
-- The values of the next profiles of the view `proven` in the order of their ids.
-- $2: the id before them
-- $3: rows at most
SELECT profile_id, record_values::text
FROM {proven_profiles} AS profile
WHERE profile_id > $2
ORDER BY profile_id
LIMIT $3;

-- name: find_merged_for
-- The profiles of the view `proven` that absorbed another one for a reason.
-- $2: the reason
SELECT profile_id
FROM view_profile
WHERE dataset_id = $1 AND view = 'proven'
  AND absorbed @> jsonb_build_array(jsonb_build_object('reason', $2::text))
ORDER BY profile_id;
