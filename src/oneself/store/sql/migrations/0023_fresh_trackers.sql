-- A sign-in can give a browser a fresh tracker. It leads to the fragments of the tracker whose place it takes,
-- which ends when the fresh one is first used.

ALTER TABLE browser ADD COLUMN replaces text;
CREATE INDEX browser_by_replaced ON browser (dataset_id, replaces) WHERE replaces IS NOT NULL;
