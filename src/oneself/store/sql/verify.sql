-- name: begin_scratch
-- Empty tables of this connection alone that stand before the live ones; every later statement meets them first.
CREATE TEMP TABLE profile (LIKE oneself.profile INCLUDING ALL);
CREATE TEMP TABLE claim (LIKE oneself.claim INCLUDING ALL);
CREATE TEMP TABLE merge (LIKE oneself.merge INCLUDING ALL);
CREATE TEMP TABLE refusal (LIKE oneself.refusal INCLUDING ALL);
CREATE TEMP TABLE config (LIKE oneself.config INCLUDING ALL);

-- name: find_sizes
-- The datasets that have a log, and how long it is.
SELECT dataset_id, count(*) AS entries FROM oneself.log GROUP BY dataset_id ORDER BY dataset_id;

-- name: begin_comparison
-- The scratch tables are full: let the planner know, and let it compare them in whole.
ANALYZE profile, claim, merge, refusal, config;
SET LOCAL enable_seqscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;

-- name: find_primary_key
-- The key columns of a live table ($1), in order.
SELECT attribute.attname AS name
FROM pg_index, unnest(pg_index.indkey) WITH ORDINALITY AS key (number, place)
JOIN pg_attribute AS attribute ON attribute.attnum = key.number
WHERE pg_index.indrelid = ('oneself.' || $1)::regclass AND indisprimary
  AND attribute.attrelid = pg_index.indrelid
ORDER BY key.place;
