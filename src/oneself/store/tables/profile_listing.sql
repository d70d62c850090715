-- The list of profiles, the latest created first: survivors of the table `profile`, which is the view `all`,
-- or the profiles of the view `proven`.
--
-- store/tables/profile_listing.py puts a statement together from a page and any number of conditions. It
-- fills in the marks /* values */, /* consents */, /* conditions */ and /* test */ with parts of this file or
-- of its own, and each @word of a condition with the number of a parameter. No text from outside becomes part
-- of a statement.

-- name: list_forwards
-- The survivors after a position, the nearest first.
-- $2: created_at of the position
-- $3: profile id of the position
-- $4: profiles at most
SELECT profile.profile_id, profile.user_id, profile.created_at, profile.updated_at,
       /* values */ AS record_values, /* consents */ AS consents,
       (
           SELECT jsonb_agg(
               jsonb_build_array(absorbed.profile_id, absorbed.reason)
               ORDER BY absorbed.created_at, absorbed.profile_id
           )
           FROM profile AS absorbed
           WHERE absorbed.dataset_id = profile.dataset_id AND absorbed.survivor_id = profile.profile_id
             AND NOT absorbed.erased
       ) AS absorbed
FROM profile
WHERE profile.dataset_id = $1 AND profile.survivor_id IS NULL AND NOT profile.erased
  AND (profile.created_at, profile.profile_id) < ($2, $3) /* conditions */
ORDER BY profile.created_at DESC, profile.profile_id DESC
LIMIT $4;

-- name: list_backwards
-- The survivors before a position, the nearest first.
-- $2: created_at of the position
-- $3: profile id of the position
-- $4: profiles at most
SELECT profile.profile_id, profile.user_id, profile.created_at, profile.updated_at,
       /* values */ AS record_values, /* consents */ AS consents,
       (
           SELECT jsonb_agg(
               jsonb_build_array(absorbed.profile_id, absorbed.reason)
               ORDER BY absorbed.created_at, absorbed.profile_id
           )
           FROM profile AS absorbed
           WHERE absorbed.dataset_id = profile.dataset_id AND absorbed.survivor_id = profile.profile_id
             AND NOT absorbed.erased
       ) AS absorbed
FROM profile
WHERE profile.dataset_id = $1 AND profile.survivor_id IS NULL AND NOT profile.erased
  AND (profile.created_at, profile.profile_id) > ($2, $3) /* conditions */
ORDER BY profile.created_at, profile.profile_id
LIMIT $4;

-- name: list_proven_forwards
-- The profiles of the view `proven` after a position, the nearest first.
-- $2: created_at of the position
-- $3: profile id of the position
-- $4: profiles at most
SELECT profile.profile_id, profile.user_id, profile.created_at, profile.updated_at,
       /* values */ AS record_values, /* consents */ AS consents,
       {absorbed_parts} AS absorbed
FROM {proven_profiles} AS profile
WHERE (profile.created_at, profile.profile_id) < ($2, $3) /* conditions */
ORDER BY profile.created_at DESC, profile.profile_id DESC
LIMIT $4;

-- name: list_proven_backwards
-- The profiles of the view `proven` before a position, the nearest first.
-- $2: created_at of the position
-- $3: profile id of the position
-- $4: profiles at most
SELECT profile.profile_id, profile.user_id, profile.created_at, profile.updated_at,
       /* values */ AS record_values, /* consents */ AS consents,
       {absorbed_parts} AS absorbed
FROM {proven_profiles} AS profile
WHERE (profile.created_at, profile.profile_id) > ($2, $3) /* conditions */
ORDER BY profile.created_at, profile.profile_id
LIMIT $4;

-- name: profile_id_eq
-- The profile with this id.
profile.profile_id = @operand::uuid;

-- name: profile_id_co
-- Profiles whose id contains a text.
strpos(profile.profile_id::text, lower(@operand::text)) > 0;

-- name: profile_id_sw
-- Profiles whose id begins with a text.
starts_with(profile.profile_id::text, lower(@operand::text));

-- name: user_id_eq
-- The profile of a user.
profile.user_id = @operand::text;

-- name: user_id_co
-- Profiles whose user id contains a text, in any case.
strpos(lower(profile.user_id), lower(@operand::text)) > 0;

-- name: user_id_sw
-- Profiles whose user id begins with a text, in any case.
starts_with(lower(profile.user_id), lower(@operand::text));

-- name: value_eq
-- Test of a value: exactly this one.
element.value = @operand::jsonb;

-- name: value_co
-- Test of a value: its text contains this one, in any case.
strpos(lower(element.value #>> '{}'), lower(@operand::text)) > 0;

-- name: value_sw
-- Test of a value: its text begins with this one, in any case.
starts_with(lower(element.value #>> '{}'), lower(@operand::text));

-- name: has_consented
-- Profiles of people who consented to one of some categories.
profile.consents @> ANY (@consents::text[]::jsonb[]);

-- name: is_not_self_said
-- Profiles of the view `proven` whose value at a path is not the word of the person themselves.
(
    NOT coalesce(profile.provenance -> @leaf::text @> '[{"trust": "browser"}]', false)
    AND NOT coalesce(profile.writes @> @self_said::text::jsonb, false)
);

-- name: value_at_path
-- Profiles with a value at a path, or an element of the list there, that has this type and passes a test.
EXISTS (
    SELECT
    FROM jsonb_path_query(profile.record_values, @path::text::jsonpath) AS stored (value)
    CROSS JOIN jsonb_array_elements(
        CASE
            WHEN NOT @is_array::boolean THEN jsonb_build_array(stored.value)
            WHEN jsonb_typeof(stored.value) = 'array' THEN stored.value
            ELSE '[]'
        END
    ) AS element (value)
    WHERE jsonb_typeof(element.value) = @json_type::text
      AND (@canonical::text[] = '{}' OR element.value #>> '{}' = ANY (@canonical::text[]))
      AND /* test */
);

-- name: list_containing
-- Of the next survivors after a position, the latest created first: those whose values contain a text in any
-- case, and the last one, so that the reader can continue after it.
-- $2: created_at of the position
-- $3: profile id of the position
-- $4: profiles that are read at most
-- $5: the text, escaped as in JSON
SELECT profile_id, user_id, created_at, record_values, seen
FROM (
    SELECT profile_id, user_id, created_at, record_values::text AS record_values, count(*) OVER () AS seen,
           row_number() OVER (ORDER BY created_at DESC, profile_id DESC) AS number
    FROM (
        SELECT profile_id, user_id, created_at, record_values
        FROM profile
        WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased
          AND (created_at, profile_id) < ($2, $3)
        ORDER BY created_at DESC, profile_id DESC
        LIMIT $4
    ) AS next_profiles
) AS numbered
WHERE number = seen OR strpos(lower(record_values), lower($5::text)) > 0
ORDER BY created_at DESC, profile_id DESC;
