-- name: find_called
-- Whom an id ($2) means, in the order of service/lookup: $3 to $4 are the profile ids that begin as it does (null if none can), $5 is the namespace of browsers' ids, $6 that of named ids.
-- Each part is looked at only if those before it found nobody; OFFSET 0 keeps it one look into an index for each claim.
SELECT coalesce(
    (SELECT profile_id FROM profile
     WHERE dataset_id = $1 AND profile_id BETWEEN $3 AND $4 AND NOT erased
       AND (primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text)))
     LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $6 AND value = $2 ORDER BY seq DESC OFFSET 0) AS held
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = held.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     ORDER BY held.seq DESC LIMIT 1),
    (SELECT survivor.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 AND until_seq IS NULL
           ORDER BY seq OFFSET 0) AS held
     CROSS JOIN LATERAL (
         SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
         WHERE dataset_id = $1 AND profile_id = held.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = known.survivor_id AND user_id IS NULL AND identities = '{}'
         OFFSET 0
     ) AS survivor
     ORDER BY held.seq LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 ORDER BY seq DESC OFFSET 0) AS held
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = held.profile_id AND NOT erased
           AND (primary_id = $2 OR aliases @> jsonb_build_array(jsonb_build_array($2::text)))
         OFFSET 0
     ) AS known
     ORDER BY held.seq DESC LIMIT 1),
    (SELECT known.profile_id
     FROM (SELECT seq, profile_id FROM claim
           WHERE dataset_id = $1 AND namespace = $5 AND value = $2 AND until_seq IS NULL
           ORDER BY seq OFFSET 0) AS held
     CROSS JOIN LATERAL (
         SELECT profile_id FROM profile
         WHERE dataset_id = $1 AND profile_id = held.profile_id AND NOT erased
         OFFSET 0
     ) AS known
     ORDER BY held.seq LIMIT 1)
) AS profile_id;

-- name: find_holder
-- The profile that holds an identifier ($2 namespace, $3 value): that of the oldest live claim, else of the last one that ended; claims before $4 say nothing.
SELECT known.profile_id
FROM (SELECT seq, until_seq, profile_id FROM claim
      WHERE dataset_id = $1 AND namespace = $2 AND value = $3 AND seq >= $4
      OFFSET 0) AS held
CROSS JOIN LATERAL (
    SELECT profile_id FROM profile
    WHERE dataset_id = $1 AND profile_id = held.profile_id AND NOT erased
    OFFSET 0
) AS known
ORDER BY held.until_seq DESC NULLS FIRST, held.seq, known.profile_id
LIMIT 1;

-- name: find_absorbed
-- Whom these survivors ($2) stand for, with the primary ids that each of them had, in the order in which they joined.
SELECT survivor_id, profile_id, primary_id, aliases::text, seq
FROM profile
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]) AND NOT erased
ORDER BY survivor_id, seq, profile_id;

-- name: find_devices
-- The browsers (identifiers in the namespaces $3) that point at these profiles ($2) now, the oldest first.
SELECT namespace, value, seq
FROM claim
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND namespace = ANY ($3::text[]) AND until_seq IS NULL
ORDER BY seq, namespace, value;

-- name: list_people
-- Survivors, the newest first: $2 of them after the first $3.
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       record_values::text, provenance::text, identities::text, consents::text,
       visit_at, aliases::text, visits::text, first_active_at, objects::text
FROM profile
WHERE dataset_id = $1 AND survivor_id IS NULL AND NOT erased
ORDER BY created_at DESC, profile_id DESC
LIMIT $2 OFFSET $3;
