-- The list of profiles (wire/cds §5.2): survivors only, by created_at and profile_id, newest first.
--
-- A page is one of the two statements with the marks /* values */ and /* conditions */ filled in by
-- store/listing.py: with the column of the values or an empty object, and with any number of the conditions
-- below. Nothing that a caller wrote ever becomes part of a statement: every operand is a parameter.
--
-- Parameters of a page: $1 dataset_id, $2 created_at and $3 profile_id of the edge, $4 rows at most.
-- Words in braces in a condition are the numbers of its own parameters.

-- name: page_forwards
-- The survivors after the edge, in the order of the list.
SELECT p.profile_id, p.user_id, p.created_at, p.updated_at, /* values */ AS record_values,
       (SELECT jsonb_agg(jsonb_build_array(a.profile_id, a.reason) ORDER BY a.created_at, a.profile_id)
          FROM profile AS a
         WHERE a.dataset_id = p.dataset_id AND a.survivor_id = p.profile_id AND NOT a.erased) AS absorbed
  FROM profile AS p
 WHERE p.dataset_id = $1 AND p.survivor_id IS NULL AND NOT p.erased
   AND (p.created_at, p.profile_id) < ($2, $3) /* conditions */
 ORDER BY p.created_at DESC, p.profile_id DESC
 LIMIT $4;

-- name: page_backwards
-- The survivors before the edge, nearest first.
SELECT p.profile_id, p.user_id, p.created_at, p.updated_at, /* values */ AS record_values,
       (SELECT jsonb_agg(jsonb_build_array(a.profile_id, a.reason) ORDER BY a.created_at, a.profile_id)
          FROM profile AS a
         WHERE a.dataset_id = p.dataset_id AND a.survivor_id = p.profile_id AND NOT a.erased) AS absorbed
  FROM profile AS p
 WHERE p.dataset_id = $1 AND p.survivor_id IS NULL AND NOT p.erased
   AND (p.created_at, p.profile_id) > ($2, $3) /* conditions */
 ORDER BY p.created_at, p.profile_id
 LIMIT $4;

-- name: profile_id_eq
-- The profile with this id.
p.profile_id = {operand}::uuid;

-- name: profile_id_co
-- Profiles whose id contains a text.
strpos(p.profile_id::text, lower({operand}::text)) > 0;

-- name: profile_id_sw
-- Profiles whose id begins with a text.
starts_with(p.profile_id::text, lower({operand}::text));

-- name: user_id_eq
-- The profile of a user.
p.user_id = {operand}::text;

-- name: user_id_co
-- Profiles whose user id contains a text, in any case.
strpos(lower(p.user_id), lower({operand}::text)) > 0;

-- name: user_id_sw
-- Profiles whose user id begins with a text, in any case.
starts_with(lower(p.user_id), lower({operand}::text));

-- name: value_eq
-- Profiles with exactly this value, or this element of a list.
one.value = {operand}::jsonb;

-- name: value_co
-- Profiles with a value whose text contains this one, in any case.
strpos(lower(one.value #>> '{}'), lower({operand}::text)) > 0;

-- name: value_sw
-- Profiles with a value whose text begins with this one, in any case.
starts_with(lower(one.value #>> '{}'), lower({operand}::text));

-- name: value
-- A value at a path, or an element of the list there, of the declared type and meeting /* test */.
EXISTS (SELECT
          FROM jsonb_path_query(p.record_values, {path}::text::jsonpath) AS held (value)
         CROSS JOIN jsonb_array_elements(
                 CASE WHEN NOT {is_array}::boolean THEN jsonb_build_array(held.value)
                      WHEN jsonb_typeof(held.value) = 'array' THEN held.value
                      ELSE '[]' END) AS one (value)
         WHERE jsonb_typeof(one.value) = {json_type}::text
           AND ({canonical}::text[] = '{}' OR one.value #>> '{}' = ANY ({canonical}::text[]))
           AND /* test */);
