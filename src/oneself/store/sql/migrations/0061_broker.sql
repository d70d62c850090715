-- Changes of profiles are published to a message broker.

-- Who publishes, one row for each kind of broker.
CREATE TABLE broker (
    broker text NOT NULL,
    -- The process that publishes has it until then.
    holder uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    -- Since when it fails, and why; NULL: it does not.
    failing_since timestamptz,
    failure text,
    CONSTRAINT broker_pkey PRIMARY KEY (broker)
);

-- Up to where the changes of a view are at the broker.
CREATE TABLE broker_position (
    dataset_id integer NOT NULL,
    view text NOT NULL,
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    -- When changes that were not published were last deleted, because they were too old.
    lost_at timestamptz,
    CONSTRAINT broker_position_pkey PRIMARY KEY (dataset_id, view)
);
