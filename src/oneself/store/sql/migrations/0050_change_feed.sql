-- What changed of profiles, for other systems that follow.

-- Those of one observation, written in its transaction. Expired rows are deleted.
CREATE TABLE profile_change (
    dataset_id integer NOT NULL,
    -- In µs since 1970; later than earlier changes of the same profiles.
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    -- A list: the views that have a change, and the change.
    changes json NOT NULL,
    CONSTRAINT profile_change_pkey PRIMARY KEY (dataset_id, recorded_at, observation_id)
);

-- How far the changes reach back.
CREATE TABLE profile_change_floor (
    dataset_id integer NOT NULL,
    -- Changes that were recorded before are deleted; in µs since 1970.
    floor_at bigint NOT NULL,
    CONSTRAINT profile_change_floor_pkey PRIMARY KEY (dataset_id)
);
