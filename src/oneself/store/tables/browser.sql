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
-- Browsers by tracker or anonymous id, then their fragments, which nobody changes until the transaction ends.
-- $2: namespaces
-- $3: values
-- $4: whether former fragments are read as well
-- Whoever joins fragments locks them, and so waits for whoever is active on one of them at that moment: the
-- last activity may decide which profile survives. OFFSET 0 keeps it index look-ups, whatever the statistics
-- say. A full join on nothing puts the rows of both below each other.
WITH found AS MATERIALIZED (
    SELECT browser.*
    FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
    CROSS JOIN LATERAL (
        SELECT namespace, value, present, current, every, reported_user, replaces FROM browser
        WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
        OFFSET 0
    ) AS browser
), spoken AS (
    SELECT {fragment_columns}
    FROM fragment
    WHERE dataset_id = $1 AND fragment_id = ANY (ARRAY(
        SELECT unnest(CASE WHEN $4::boolean THEN every ELSE present END) FROM found
    ))
    ORDER BY fragment_id
    FOR SHARE
)
SELECT * FROM found FULL JOIN spoken ON false;

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
