-- Webhooks receive what changes of profiles.

CREATE TABLE webhook (
    org_id integer NOT NULL,
    webhook_id uuid NOT NULL,
    dataset_id integer NOT NULL,
    url text NOT NULL,
    view text NOT NULL,
    -- The types of changes that it receives; empty: all.
    types text[] NOT NULL,
    -- What requests are signed with: a list of secrets, each with the end of its life.
    secrets_encrypted bytea NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Up to where the changes are in `webhook_delivery`.
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    -- When changes that it had not received were last deleted, because they were too old.
    lost_at timestamptz,
    -- The process that sends has it until then.
    leased_until timestamptz NOT NULL,
    CONSTRAINT webhook_pkey PRIMARY KEY (org_id, webhook_id),
    CONSTRAINT webhook_organisation_fkey
        FOREIGN KEY (org_id) REFERENCES organisation (org_id) ON DELETE CASCADE
);
CREATE INDEX webhook_due ON webhook (leased_until) WHERE is_active;

-- What webhooks receive or have received.
CREATE TABLE webhook_delivery (
    org_id integer NOT NULL,
    webhook_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    -- The position of the change.
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    -- What it is about. Two that share an id are sent in their order.
    profile_ids uuid[] NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    -- `waiting`, `delivered` or `dead`.
    state text NOT NULL,
    attempts integer NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    -- Until then it is tried.
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    failure text,
    CONSTRAINT webhook_delivery_pkey PRIMARY KEY (org_id, webhook_id, delivery_id),
    CONSTRAINT webhook_delivery_webhook_fkey
        FOREIGN KEY (org_id, webhook_id) REFERENCES webhook (org_id, webhook_id) ON DELETE CASCADE
);
CREATE INDEX webhook_delivery_in_order ON webhook_delivery (org_id, webhook_id, recorded_at, observation_id, number);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (org_id, webhook_id, recorded_at, observation_id, number)
    WHERE state = 'waiting';
CREATE INDEX webhook_delivery_finished ON webhook_delivery (finished_at) WHERE finished_at IS NOT NULL;
