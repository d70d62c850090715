-- name: lock_identifiers
-- Keep the configuration ($1) as it is and take every identifier and request key ($2, sorted hashes) until the end of the transaction.
SELECT pg_advisory_xact_lock_shared($1)
UNION ALL
SELECT pg_advisory_xact_lock(hash) FROM unnest($2::bigint[]) AS hash;

-- name: find_header
-- The instant, the transaction's own name and the version of the dataset's ($1) configuration.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
       pg_current_xact_id()::text AS transaction,
       coalesce((SELECT version FROM config WHERE dataset_id = $1), 0) AS config_version;

-- name: find_claims
-- The live claims of identifiers ($2 namespaces, $3 values) and what their profiles point at; then, without a claim,
-- the profiles whose ids begin as those that tokens name (from $4 to $5 each).
-- OFFSET 0 keeps the order of the joins: one look into the index per identifier, whatever the statistics say.
SELECT claim.namespace, claim.value, claim.profile_id, claim.seq, claim.trust, claim.at, claim.since,
       survivor.profile_id AS survivor_id, survivor.seq AS survivor_seq
FROM unnest($2::text[], $3::text[]) AS wanted (namespace, value)
CROSS JOIN LATERAL (
    SELECT * FROM claim
    WHERE dataset_id = $1 AND namespace = wanted.namespace AND value = wanted.value AND until_seq IS NULL
    OFFSET 0
) AS claim
CROSS JOIN LATERAL (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id = claim.profile_id
    OFFSET 0
) AS pointer
CROSS JOIN LATERAL (
    SELECT profile_id, seq FROM profile
    WHERE dataset_id = $1 AND profile_id = pointer.survivor_id
    OFFSET 0
) AS survivor
UNION ALL
SELECT NULL, NULL, known.profile_id, NULL, NULL, NULL, NULL, survivor.profile_id, survivor.seq
FROM unnest($4::uuid[], $5::uuid[]) AS wanted (first_id, last_id)
CROSS JOIN LATERAL (
    SELECT profile_id, survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id BETWEEN wanted.first_id AND wanted.last_id
    OFFSET 0
) AS known
CROSS JOIN LATERAL (
    SELECT profile_id, seq FROM profile
    WHERE dataset_id = $1 AND profile_id = coalesce(known.survivor_id, known.profile_id)
    OFFSET 0
) AS survivor;

-- name: lock_remembered
-- The profiles that tokens name (ids from $2 to $3 each), kept for this transaction alone, then the live claims of
-- identifiers ($4 namespaces, $5 values) and whom they lead to.
-- The ids first, each by one look into the index, and then the rows: a join would walk through the whole dataset.
WITH remembered AS MATERIALIZED (
    SELECT known.profile_id, known.seq FROM unnest($2::uuid[], $3::uuid[]) AS wanted (first_id, last_id)
    CROSS JOIN LATERAL (
        SELECT profile_id, seq FROM profile
        WHERE dataset_id = $1 AND profile_id BETWEEN wanted.first_id AND wanted.last_id
        OFFSET 0
    ) AS known
), locked AS (
    SELECT * FROM profile
    WHERE dataset_id = $1 AND profile_id = ANY (ARRAY (SELECT profile_id FROM remembered))
    ORDER BY profile_id
    FOR UPDATE
)
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       record_values::text, provenance::text, identities::text, consents::text,
       visit_at, aliases::text, visits::text, first_active_at, objects::text, NULL AS namespace, NULL AS value, NULL AS trust, NULL::bigint AS at, NULL::bigint AS since,
       (SELECT seq FROM remembered WHERE remembered.profile_id = locked.profile_id) AS seen_seq
FROM locked
UNION ALL
SELECT claim.profile_id, pointer.survivor_id, NULL, NULL, NULL, NULL, NULL, NULL, claim.seq, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, claim.namespace, claim.value, claim.trust, claim.at,
       claim.since, NULL
FROM unnest($4::text[], $5::text[]) AS wanted (namespace, value)
CROSS JOIN LATERAL (
    SELECT * FROM claim
    WHERE dataset_id = $1 AND namespace = wanted.namespace AND value = wanted.value AND until_seq IS NULL
    OFFSET 0
) AS claim
CROSS JOIN LATERAL (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id = claim.profile_id
    OFFSET 0
) AS pointer;

-- name: find_activity
-- When people ($2) were last active by an instant ($3, in the same places), as the log up to a seq ($4) has it.
-- Of each of their profiles: the last hundred entries recorded by the instant, and the first thousand after it, which may
-- have happened before. Both are the same whenever this is asked. The index holds only entries of profiles.
SELECT wanted.profile_id, max(entry.at) AS at
FROM unnest($2::uuid[], $3::bigint[]) AS wanted (profile_id, instant)
CROSS JOIN LATERAL (
    SELECT profile_id FROM profile WHERE dataset_id = $1 AND profile_id = wanted.profile_id
    UNION ALL
    SELECT profile_id FROM profile WHERE dataset_id = $1 AND survivor_id = wanted.profile_id
) AS part
CROSS JOIN LATERAL (
    SELECT CASE WHEN kind IN ('event', 'write', 'sign_in', 'sign_out', 'consent')
                 AND coalesce((content ->> 'is_interactive')::boolean, true)
                THEN coalesce((content ->> 'occurred_at')::bigint, seq) END AS at
    FROM (
        (
            SELECT seq, kind, content FROM log
            WHERE dataset_id = $1 AND profile_id IS NOT NULL
              AND (profile_id, seq) >= (part.profile_id, 0)
              AND (profile_id, seq) < (part.profile_id, least(wanted.instant + 1, $4))
            ORDER BY profile_id DESC, seq DESC
            LIMIT 100
        )
        UNION ALL
        (
            SELECT seq, kind, content FROM log
            WHERE dataset_id = $1 AND profile_id IS NOT NULL
              AND (profile_id, seq) > (part.profile_id, wanted.instant)
              AND (profile_id, seq) < (part.profile_id, $4)
            ORDER BY profile_id, seq
            LIMIT 1000
        )
    ) AS recorded
) AS entry
WHERE entry.at <= wanted.instant
GROUP BY wanted.profile_id, wanted.instant;

-- name: find_profiles
-- Profiles by id ($2), as they are.
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       record_values::text, provenance::text, identities::text, consents::text,
       visit_at, aliases::text, visits::text, first_active_at, objects::text
FROM profile
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: lock_profiles
-- Profiles by id ($2), in the order of their ids, kept for this transaction alone.
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       record_values::text, provenance::text, identities::text, consents::text,
       visit_at, aliases::text, visits::text, first_active_at, objects::text
FROM profile
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY profile_id
FOR UPDATE;

-- name: find_members
-- Whom these survivors ($2) stand for, in the order in which they joined.
SELECT survivor_id, profile_id, reason, seq
FROM profile
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]) AND NOT erased
ORDER BY survivor_id, seq, profile_id;

-- name: find_answers
-- The first answers to these request keys ($2).
SELECT key, seq, profile_id, fingerprint, status, headers, body
FROM answer
WHERE dataset_id = $1 AND key = ANY ($2::text[]);

-- name: put_profiles
-- Make or change profiles, all columns as arrays ($2 to $20).
INSERT INTO profile (dataset_id, profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at,
                     active_at, seq, erased, record_values, provenance, identities, consents, visit_at, aliases, visits, first_active_at,
                     objects)
SELECT $1, row.profile_id, row.survivor_id, row.reason, row.primary_id, row.user_id, row.created_at,
       row.updated_at, row.active_at, row.seq, row.erased,
       row.record_values::jsonb, row.provenance::jsonb, row.identities::jsonb, row.consents::jsonb,
       row.visit_at, row.aliases::jsonb, row.visits::jsonb, row.first_active_at, row.objects::jsonb
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
            $9::timestamptz[], $10::bigint[], $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
            $16::timestamptz[], $17::text[], $18::text[], $19::timestamptz[], $20::text[])
     AS row (profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at,
             active_at, seq, erased, record_values, provenance, identities, consents, visit_at, aliases, visits, first_active_at,
                     objects)
ON CONFLICT (dataset_id, profile_id) DO UPDATE
SET survivor_id = excluded.survivor_id, reason = excluded.reason, primary_id = excluded.primary_id,
    user_id = excluded.user_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
    active_at = excluded.active_at, seq = excluded.seq, erased = excluded.erased,
    record_values = excluded.record_values, provenance = excluded.provenance, identities = excluded.identities,
    consents = excluded.consents, visit_at = excluded.visit_at, aliases = excluded.aliases,
    visits = excluded.visits, first_active_at = excluded.first_active_at, objects = excluded.objects;

-- name: put_touches
-- Profiles ($2, sorted) that were seen again and are otherwise as they were: last activity ($3), seqs ($4), visits ($5).
-- No join, so nothing to plan wrongly: width_bucket finds the place of an id among the sorted ones.
UPDATE profile
SET active_at = ($3::timestamptz[])[width_bucket(profile_id, $2::uuid[])],
    seq = ($4::bigint[])[width_bucket(profile_id, $2::uuid[])],
    visit_at = ($5::timestamptz[])[width_bucket(profile_id, $2::uuid[])]
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: put_survivors
-- Those that an absorbed profile ($2) stood for now point straight at its survivor ($3, in the same places).
UPDATE profile
SET survivor_id = ($3::uuid[])[array_position($2::uuid[], survivor_id)]
WHERE dataset_id = $1 AND survivor_id = ANY ($2::uuid[]);

-- name: put_claims
-- Record new claims ($2 namespaces, $3 values, $4 profiles, $5 seqs, $6 trust, $7 when, $8 since).
INSERT INTO claim (dataset_id, namespace, value, profile_id, seq, trust, at, since)
SELECT $1, row.*
FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[]) AS row;

-- name: put_releases
-- End claims ($2 namespaces, $3 values, $4 profiles, $5 seqs, $6 trust, $7 when, $8 since) at $9; all of them are there.
INSERT INTO claim (dataset_id, namespace, value, profile_id, seq, trust, at, since, until_seq)
SELECT $1, row.*
FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[]) AS row
ON CONFLICT (dataset_id, namespace, value, seq, profile_id) DO UPDATE SET until_seq = excluded.until_seq;

-- name: put_merges
-- Record merges ($2 absorbed, $3 seqs, $4 survivors, $5 reasons, $6 namespaces, $7 values, $8 observations).
INSERT INTO merge (dataset_id, absorbed_id, seq, survivor_id, reason, namespace, value, observation_id)
SELECT $1, row.*
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::uuid[]) AS row;

-- name: put_refusals
-- Count refusals ($2 codes, $3 profiles, $4 others, $5 namespaces, $6 first and $7 last seqs, $8 times).
INSERT INTO refusal (dataset_id, code, profile_id, other_id, namespace, first_seq, last_seq, times)
SELECT $1, row.*
FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[]) AS row
ON CONFLICT (dataset_id, profile_id, other_id, code, namespace) DO UPDATE
SET last_seq = excluded.last_seq, times = refusal.times + excluded.times;

-- name: put_answers
-- Keep first answers ($2 keys, $3 seqs, $4 profiles, $5 fingerprints, $6 statuses, $7 headers, $8 bodies).
INSERT INTO answer (dataset_id, key, seq, profile_id, fingerprint, status, headers, body)
SELECT $1, row.key, row.seq, row.profile_id, row.fingerprint, row.status, row.headers::jsonb, row.body
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::integer[], $7::text[], $8::bytea[])
     AS row (key, seq, profile_id, fingerprint, status, headers, body);

-- name: find_outcome
-- Whether a transaction ($2) is at work still, and whether its entry ($3 seq, $4 observation) is in the log. Not by
-- pg_xact_status: a crash forgets a transaction that wrote nothing durable, and its number goes to another one.
SELECT $2::text::xid8 IN (SELECT pg_snapshot_xip(pg_current_snapshot())) AS at_work,
       EXISTS (SELECT FROM log WHERE dataset_id = $1 AND seq = $3 AND observation_id = $4) AS committed;

-- name: find_view
-- A profile ($2), the profile that stands for it and everybody else that one stands for, in one read.
-- Two look-ups, not one with OR: without statistics that one would walk through the whole dataset.
WITH asked AS (
    SELECT coalesce(survivor_id, profile_id) AS survivor_id
    FROM profile WHERE dataset_id = $1 AND profile_id = $2 AND NOT erased
)
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       record_values::text, provenance::text, identities::text, consents::text,
       visit_at, aliases::text, visits::text, first_active_at, objects::text
FROM profile
WHERE dataset_id = $1 AND profile_id = (SELECT survivor_id FROM asked) AND NOT erased
UNION ALL
SELECT profile_id, survivor_id, reason, primary_id, user_id, created_at, updated_at, active_at, seq, erased,
       '{}', '{}', '{}', '{}',
       visit_at, aliases::text, visits::text, first_active_at, objects::text
FROM profile
WHERE dataset_id = $1 AND survivor_id = (SELECT survivor_id FROM asked) AND NOT erased;

-- name: find_holder
-- The profile that holds an identifier ($2 namespace, $3 value): that of the oldest live claim.
SELECT claim.profile_id
FROM claim
JOIN profile ON profile.dataset_id = $1 AND profile.profile_id = claim.profile_id AND NOT profile.erased
WHERE claim.dataset_id = $1 AND claim.namespace = $2 AND claim.value = $3 AND claim.until_seq IS NULL
ORDER BY claim.since, claim.profile_id
LIMIT 1;
