-- How old a claim is (DESIGN §4.7): the seq of the observation that first brought the value, also where a reindex job
-- made the claim later. Reindex jobs walk through profiles in this order.

ALTER TABLE claim ADD COLUMN since bigint;
UPDATE claim SET since = seq;
ALTER TABLE claim ALTER COLUMN since SET NOT NULL;

ALTER TABLE indexing ADD COLUMN after_since bigint;   -- profiles up to this age, and of this age up to after_id, are indexed
