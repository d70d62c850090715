-- Which profiles share a value: the scratch table of a preview.

-- name: begin
-- Make a table of this connection alone: which profile holds which value, by hash.
CREATE TEMP TABLE holding (hash bigint NOT NULL, profile_id uuid NOT NULL);

-- name: find_sharing
-- The profiles that hold a value which another profile holds too.
-- One sort and no join: with a million holders, a join of the table with itself would read it a million
-- times.
SELECT DISTINCT profile_id
FROM (SELECT profile_id, count(*) OVER (PARTITION BY hash) AS holders FROM holding) AS held
WHERE holders > 1
ORDER BY profile_id;
