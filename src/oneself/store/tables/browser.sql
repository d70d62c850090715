-- The table `browser`: which fragments have the words of one tracker or anonymous id.

-- name: find
-- Browsers by tracker or anonymous id.
-- $2: namespaces
-- $3: values
-- OFFSET 0 keeps it one index look-up per browser, whatever the statistics say.
SELECT browser.*
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT namespace, value, present, current, every, reported_user, replaces FROM browser
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
    OFFSET 0
) AS browser;

-- name: find_with_fragments
-- The browsers that only act with their fragments, in one row; the fragments of other browsers, those of
-- users themselves, these browsers, by tracker or anonymous id, and the clock, read when the fragments were
-- locked against changes until the transaction ends.
-- $2: namespaces
-- $3: values
-- $4: how many of them are read as a whole; the others only act
-- $5: whether former fragments are read as well
-- $6: users
-- Of a browser that only acts and has one fragment, in which it speaks, only that is read: the user of the
-- fragment and the last observation that it has seen, without its state.
-- Whoever joins fragments locks them, and so waits for whoever is active on one of them at that moment: the
-- last activity may decide which profile survives. All are locked first, in the order of their ids: the parts
-- of UNION ALL are executed one after the other. OFFSET 0 keeps it index look-ups, whatever the statistics
-- say.
WITH found AS MATERIALIZED (
    SELECT browser.*
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS sought (namespace, value, number)
    CROSS JOIN LATERAL (
        SELECT namespace, value, current, every, reported_user, replaces,
               CASE WHEN sought.number <= $4 OR cardinality(present) <> 1 OR present[1] <> current
                    THEN present END AS present
        FROM browser
        WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
        OFFSET 0
    ) AS browser
), led AS MATERIALIZED (
    SELECT unnest(CASE WHEN $5::boolean THEN every ELSE present END) AS fragment_id
    FROM found WHERE present IS NOT NULL
), locked AS MATERIALIZED (
    SELECT {acting_columns}
    FROM fragment
    WHERE dataset_id = $1
      AND fragment_id = ANY (ARRAY(TABLE led UNION ALL SELECT current FROM found WHERE present IS NULL))
    ORDER BY fragment_id
    FOR SHARE
), spoken AS (
    SELECT {fragment_columns}
    FROM fragment
    WHERE dataset_id = $1 AND fragment_id = ANY (ARRAY(TABLE led))
    FOR SHARE
)
SELECT {missing_fragment_columns}, NULL AS namespace, NULL AS value, NULL::uuid AS current,
       NULL::uuid[] AS present, NULL::uuid[] AS every, NULL AS reported_user, NULL AS replaces,
       NULL::bigint AS now, NULL AS transaction_id, NULL::bigint AS config_version,
       NULL::boolean AS has_separations, NULL::boolean AS has_transfers, acting.*, locked.*
FROM {locked_fragments} AS locked
CROSS JOIN (
    SELECT array_agg(namespace) AS acting_names, array_agg(value) AS acting_values,
           array_agg(current) AS acting_ids
    FROM found WHERE present IS NULL
) AS acting
UNION ALL
SELECT spoken.*, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM spoken
UNION ALL
SELECT {fragment_columns}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM fragment
WHERE dataset_id = $1 AND origin = 'user' AND owner_id IS NOT NULL AND owner_id = ANY ($6::text[])
UNION ALL
SELECT {no_fragment_columns}, namespace, value, current, present, every, reported_user, replaces,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM found WHERE present IS NOT NULL
UNION ALL
SELECT {no_fragment_columns}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, clock.*,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM ({clock}) AS clock;

-- name: find_acting
-- The same for browsers that only act, where no others and no users are read.
-- $2: namespaces
-- $3: values
-- A browser that has several fragments, or does not speak in its only one, comes without it.
WITH found AS MATERIALIZED (
    SELECT browser.*
    FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
    CROSS JOIN LATERAL (
        SELECT namespace, value,
               CASE WHEN cardinality(present) = 1 AND present[1] = current THEN current END AS current
        FROM browser
        WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
        OFFSET 0
    ) AS browser
), locked AS (
    SELECT {acting_columns}
    FROM fragment
    WHERE dataset_id = $1 AND fragment_id = ANY (ARRAY(SELECT current FROM found))
    ORDER BY fragment_id
    FOR SHARE
)
SELECT acting.*, locked.*, NULL::bigint AS now, NULL AS transaction_id, NULL::bigint AS config_version,
       NULL::boolean AS has_separations, NULL::boolean AS has_transfers
FROM {locked_fragments} AS locked
CROSS JOIN (
    SELECT array_agg(namespace) AS acting_names, array_agg(value) AS acting_values,
           array_agg(current) AS acting_ids
    FROM found
) AS acting
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, clock.*
FROM ({clock}) AS clock;

-- name: find_replaced
-- The tracker that a fresh one replaces, as long as both lead to a common fragment.
-- $2: the fresh tracker
SELECT replaced.value
FROM browser AS fresh
JOIN browser AS replaced
  ON replaced.dataset_id = $1 AND replaced.namespace = 'tracker' AND replaced.value = fresh.replaces
WHERE fresh.dataset_id = $1 AND fresh.namespace = 'tracker' AND fresh.value = $2
  AND replaced.present && fresh.present;

-- name: find_replacing
-- The fresh trackers that replace trackers, directly or not.
-- $2: trackers
WITH RECURSIVE replacing AS (
    SELECT value FROM browser WHERE dataset_id = $1 AND replaces = ANY ($2::text[])
    UNION
    SELECT browser.value
    FROM replacing
    JOIN browser ON browser.dataset_id = $1 AND browser.replaces = replacing.value
)
SELECT value FROM replacing;

-- name: insert
-- Insert browsers.
-- $2: a JSON array of browsers
INSERT INTO browser (dataset_id, namespace, value, present, current, every, reported_user, replaces)
SELECT $1, namespace, value, present, current, every, reported_user, replaces
FROM jsonb_to_recordset($2::text::jsonb)
     AS row (namespace text, value text, present uuid[], current uuid, every uuid[], reported_user text,
             replaces text);

-- name: put
-- Insert or replace browsers.
-- $2: a JSON array of browsers
INSERT INTO browser (dataset_id, namespace, value, present, current, every, reported_user, replaces)
SELECT $1, namespace, value, present, current, every, reported_user, replaces
FROM jsonb_to_recordset($2::text::jsonb)
     AS row (namespace text, value text, present uuid[], current uuid, every uuid[], reported_user text,
             replaces text)
ON CONFLICT (dataset_id, namespace, value) DO UPDATE
SET present = excluded.present, current = excluded.current, every = excluded.every,
    reported_user = excluded.reported_user, replaces = excluded.replaces;

-- name: delete
-- Delete browsers.
-- $2: namespaces
-- $3: values
DELETE FROM browser
USING unnest($2::text[], $3::text[]) AS row (namespace, value)
WHERE dataset_id = $1 AND browser.namespace = row.namespace AND browser.value = row.value;
