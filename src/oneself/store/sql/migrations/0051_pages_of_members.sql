-- The fragments of a profile and of a user, and the profiles that one absorbed, are read page by page in the order of
-- their ids (docs/decisions/0043-explanations.md): an index gives them in this order, however many there are.
DROP INDEX fragment_by_proven;
CREATE INDEX fragment_by_proven ON fragment (dataset_id, proven_id, fragment_id) WHERE proven_id <> fragment_id;
DROP INDEX fragment_by_owner;
CREATE INDEX fragment_by_owner ON fragment (dataset_id, owner_id, fragment_id) WHERE owner_id IS NOT NULL;
DROP INDEX fragment_by_reported_user;
CREATE INDEX fragment_by_reported_user ON fragment (dataset_id, reported_id, fragment_id) WHERE reported_id IS NOT NULL;
DROP INDEX profile_by_survivor;
CREATE INDEX profile_by_survivor ON profile (dataset_id, survivor_id, profile_id) WHERE survivor_id IS NOT NULL;
