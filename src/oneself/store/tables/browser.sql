-- The table `browser`: which fragments have the words of one tracker or anonymous id.

-- name: find
-- Browsers by tracker or anonymous id.
-- $2: namespaces
-- $3: values
-- OFFSET 0 keeps it one index look-up per browser, whatever the statistics say.
SELECT browser.*
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT namespace, value, present, current, every, reported_user FROM browser
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value
    OFFSET 0
) AS browser;

-- name: put
-- Insert or replace browsers.
-- $2: a JSON array of browsers
INSERT INTO browser (dataset_id, namespace, value, present, current, every, reported_user)
SELECT $1, namespace, value, present, current, every, reported_user
FROM jsonb_to_recordset($2::text::jsonb)
     AS row (namespace text, value text, present uuid[], current uuid, every uuid[], reported_user text)
ON CONFLICT (dataset_id, namespace, value) DO UPDATE
SET present = excluded.present, current = excluded.current, every = excluded.every,
    reported_user = excluded.reported_user;

-- name: delete
-- Delete browsers.
-- $2: namespaces
-- $3: values
DELETE FROM browser
USING unnest($2::text[], $3::text[]) AS row (namespace, value)
WHERE dataset_id = $1 AND browser.namespace = row.namespace AND browser.value = row.value;
