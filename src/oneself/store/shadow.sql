-- Work on whole datasets beside the live tables: scratch tables for verify and rebuild.

-- name: begin_scratch
-- Make empty tables of this connection alone that hide the live ones from every later statement on it.
CREATE TEMP TABLE profile (LIKE oneself.profile INCLUDING ALL);
CREATE TEMP TABLE claim (LIKE oneself.claim INCLUDING ALL);
CREATE TEMP TABLE merge (LIKE oneself.merge INCLUDING ALL);
CREATE TEMP TABLE refusal (LIKE oneself.refusal INCLUDING ALL);
CREATE TEMP TABLE config (LIKE oneself.config INCLUDING ALL);
CREATE TEMP TABLE fragment (LIKE oneself.fragment INCLUDING ALL);
CREATE TEMP TABLE fragment_claim (LIKE oneself.fragment_claim INCLUDING ALL);
CREATE TEMP TABLE browser (LIKE oneself.browser INCLUDING ALL);
CREATE TEMP TABLE verified_claim (LIKE oneself.verified_claim INCLUDING ALL);
CREATE TEMP TABLE identifier_transfer (LIKE oneself.identifier_transfer INCLUDING ALL);
CREATE TEMP TABLE person_join (LIKE oneself.person_join INCLUDING ALL);
CREATE TEMP TABLE separation (LIKE oneself.separation INCLUDING ALL);
CREATE TEMP TABLE view_profile (LIKE oneself.view_profile INCLUDING ALL);

-- name: begin_entries
-- Make the table of this connection alone that says which fragment each entry of the live log belongs to.
CREATE TEMP TABLE fragment_entry (LIKE oneself.fragment_entry);
CREATE INDEX ON fragment_entry (dataset_id, fragment_id, seq);

-- name: plan_point_lookups
-- Find rows by keys for the rest of the transaction: the scratch tables have no statistics and grow.
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;

-- name: plan_scans
-- Count the rows of the full scratch tables, without the statistics of all columns, which would take as long
-- as the comparison, and let the planner scan for the rest of the transaction.
ANALYZE profile (dataset_id), claim (dataset_id), merge (dataset_id), refusal (dataset_id),
    config (dataset_id), fragment (dataset_id), fragment_claim (dataset_id), fragment_entry (dataset_id),
    browser (dataset_id), verified_claim (dataset_id), identifier_transfer (dataset_id),
    person_join (dataset_id), separation (dataset_id), view_profile (dataset_id);
SET LOCAL enable_seqscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;

-- name: find_sizes
-- The datasets that have a log, and the number of its entries.
SELECT dataset_id, count(*) AS entries FROM oneself.log GROUP BY dataset_id ORDER BY dataset_id;

-- name: find_datasets
-- Every dataset that has a log or a state, in order.
SELECT dataset_id FROM oneself.log
UNION SELECT dataset_id FROM oneself.profile
UNION SELECT dataset_id FROM oneself.claim
UNION SELECT dataset_id FROM oneself.config
ORDER BY dataset_id;

-- name: count_entries
-- The number of entries in the logs of some datasets.
-- $1: datasets
SELECT count(*) FROM oneself.log WHERE dataset_id = ANY ($1::integer[]);

-- name: count_profiles
-- The number of folded profiles, absorbed and erased ones included.
SELECT count(*) FROM profile;

-- name: replace_entries
-- Make the fragments of a dataset's log entries those of the scratch table; returns a row for each change.
-- $1: dataset
UPDATE oneself.log SET fragment_id = differing.fragment_id, active_at = differing.active_at
FROM (
    SELECT seq, observation_id, folded.fragment_id, folded.active_at
    FROM oneself.log AS known
    LEFT JOIN fragment_entry AS folded USING (dataset_id, seq, observation_id)
    WHERE known.dataset_id = $1
      AND (known.fragment_id, known.active_at) IS DISTINCT FROM (folded.fragment_id, folded.active_at)
) AS differing
WHERE log.dataset_id = $1 AND log.seq = differing.seq AND log.observation_id = differing.observation_id
RETURNING 1;

-- name: find_primary_key
-- The key columns of a live table, in order.
-- $1: table
SELECT attribute.attname AS name
FROM pg_index, unnest(pg_index.indkey) WITH ORDINALITY AS key (number, place)
JOIN pg_attribute AS attribute ON attribute.attnum = key.number
WHERE pg_index.indrelid = ('oneself.' || $1)::regclass AND indisprimary
  AND attribute.attrelid = pg_index.indrelid
ORDER BY key.place;

-- name: find_differing
-- The ids of a view whose current profile, or its values, differ between the live and the folded state.
-- $1: dataset
-- $2: view
-- $3: ids at most
-- With them, the profiles that such ids leave.
WITH live AS (
    SELECT part.fragment_id AS id, CASE $2::text WHEN 'own' THEN part.own_id ELSE part.proven_id END AS head,
           coalesce(unified.record_values, part.record_values) AS record_values
    FROM oneself.fragment AS part
    LEFT JOIN oneself.view_profile AS unified ON unified.dataset_id = $1 AND unified.view = $2
        AND unified.profile_id = part.fragment_id
    WHERE part.dataset_id = $1 AND $2 <> 'all'
    UNION ALL
    SELECT profile_id, coalesce(survivor_id, profile_id), record_values
    FROM oneself.profile WHERE dataset_id = $1 AND $2 = 'all' AND NOT erased
), folded AS (
    SELECT part.fragment_id AS id, CASE $2::text WHEN 'own' THEN part.own_id ELSE part.proven_id END AS head,
           coalesce(unified.record_values, part.record_values) AS record_values
    FROM fragment AS part
    LEFT JOIN view_profile AS unified ON unified.dataset_id = $1 AND unified.view = $2
        AND unified.profile_id = part.fragment_id
    WHERE part.dataset_id = $1 AND $2 <> 'all'
    UNION ALL
    SELECT profile_id, coalesce(survivor_id, profile_id), record_values
    FROM profile WHERE dataset_id = $1 AND $2 = 'all' AND NOT erased
), compared AS (
    SELECT id, live.head AS head_before, folded.head AS head_after,
           live.record_values AS values_before, folded.record_values AS values_after
    FROM live FULL JOIN folded USING (id)
)
SELECT id, head_before, head_after, values_before::text, values_after::text
FROM compared
WHERE (head_before, values_before) IS DISTINCT FROM (head_after, values_after)
   OR id IN (SELECT head_before FROM compared WHERE head_before IS DISTINCT FROM head_after)
LIMIT $3;
