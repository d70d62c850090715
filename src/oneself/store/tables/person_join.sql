-- The table `person_join`: joins of fragments that hang on no identifier.

-- name: find
-- The joins of fragments with any others.
-- $2: fragment ids
-- Two look-ups by an index each; a join may be found by both.
SELECT one_id, other_id, level, since, reason
FROM person_join
WHERE dataset_id = $1 AND one_id = ANY ($2::uuid[])
UNION
SELECT one_id, other_id, level, since, reason
FROM person_join
WHERE dataset_id = $1 AND other_id = ANY ($2::uuid[]);

-- name: put
-- Insert joins; those that are known stay as they are.
-- $2: fragments
-- $3: the fragments that they are joined with
-- $4: evidence
-- $5: seqs
-- $6: reasons
INSERT INTO person_join (dataset_id, one_id, other_id, level, since, reason)
SELECT $1, row.*
FROM unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::text[]) AS row
ON CONFLICT DO NOTHING;

-- name: delete
-- Delete joins.
-- $2: fragments
-- $3: the fragments that they are joined with
-- $4: seqs
-- $5: reasons
DELETE FROM person_join USING unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[])
    AS ended (one_id, other_id, since, reason)
WHERE dataset_id = $1 AND person_join.one_id = ended.one_id AND person_join.other_id = ended.other_id
  AND person_join.since = ended.since AND person_join.reason = ended.reason;

-- name: delete_of_fragments
-- Delete the joins of fragments with any others.
-- $2: fragment ids
DELETE FROM person_join
WHERE dataset_id = $1 AND (one_id = ANY ($2::uuid[]) OR other_id = ANY ($2::uuid[]));
