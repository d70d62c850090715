-- The table `separation`: fragments that people keep apart.

-- name: find
-- The separations of fragments, with the sides of these alone, the oldest first.
-- $2: fragment ids
SELECT separation_id, since, array_agg(fragment_id) AS fragment_ids, array_agg(side) AS sides
FROM separation
WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[])
GROUP BY separation_id, since
ORDER BY since, separation_id;

-- name: find_parted_from
-- The fragments of the separations that concern fragments.
-- $2: fragment ids
SELECT DISTINCT parted.fragment_id
FROM separation AS known
JOIN separation AS parted USING (dataset_id, separation_id)
WHERE known.dataset_id = $1 AND known.fragment_id = ANY ($2::uuid[]);

-- name: find_of_believed
-- The separations of the fragments whose first observation is attached to profiles, with these profiles.
-- $2: profile ids
SELECT fragment.believed_id AS profile_id, separation.separation_id, separation.side
FROM fragment
JOIN separation USING (dataset_id, fragment_id)
WHERE fragment.dataset_id = $1 AND fragment.believed_id = ANY ($2::uuid[]);

-- name: concerns_members
-- Whether any fragment of profiles in the view `proven` is kept apart from others.
-- $2: the fragments that head them
SELECT EXISTS (
    SELECT FROM fragment
    JOIN separation USING (dataset_id, fragment_id)
    WHERE fragment.dataset_id = $1 AND fragment.proven_id = ANY ($2::uuid[])
);

-- name: put
-- Insert the sides of separations.
-- $2: separation ids
-- $3: fragment ids
-- $4: sides
-- $5: seqs
INSERT INTO separation (dataset_id, separation_id, fragment_id, side, since)
SELECT $1, row.* FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::bigint[]) AS row
ON CONFLICT DO NOTHING;

-- name: unite
-- Give the sides of a separation one number.
-- $2: separation id
-- $3: sides
-- $4: the number
UPDATE separation SET side = $4
WHERE dataset_id = $1 AND separation_id = $2 AND side = ANY ($3::integer[]) AND side <> $4;

-- name: delete_of_fragments
-- Delete the sides of fragments.
-- $2: fragment ids
DELETE FROM separation WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]);
