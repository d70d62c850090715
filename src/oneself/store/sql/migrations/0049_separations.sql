-- Splits by people (docs/decisions/0042-splits-and-merges-by-hand.md): fragments of different sides of one separation
-- stay apart until a person joins them again.
CREATE TABLE separation (
    dataset_id          integer   NOT NULL,
    -- The entry of the log that made it.
    separation_id       uuid      NOT NULL,
    fragment_id         uuid      NOT NULL,
    -- The side of the fragment. Sides that a person joined again have one number.
    side                integer   NOT NULL,
    -- The seq of the entry.
    since               bigint    NOT NULL,
    CONSTRAINT separation_key PRIMARY KEY (dataset_id, separation_id, fragment_id)
);
CREATE INDEX separation_by_fragment ON separation (dataset_id, fragment_id);

-- What people decided about fragments.
CREATE INDEX log_of_parted_fragments ON log USING gin ((content -> 'fragment_ids'))
    WHERE kind IN ('split', 'merge');
