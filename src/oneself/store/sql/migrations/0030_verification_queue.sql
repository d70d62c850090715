-- What users verify in the dataset `default` reaches the logs of the other datasets of their organisation
-- (docs/decisions/0029-verifications-in-every-dataset.md). The transaction that verifies writes a row for each dataset;
-- the transaction that appends to the log of a dataset deletes it.
CREATE TABLE verification_queue (
    -- The dataset that has yet to record it.
    dataset_id          integer   NOT NULL,
    position            bigint    GENERATED ALWAYS AS IDENTITY,
    -- `verified` or `given_up`: by a user. `forgotten`: everything that a user verified leaves the log. `compared`: what
    -- a user has verified in `default` by then. `all`: whatever is verified there, after this user and path.
    change              text      NOT NULL,
    user_id             text      NOT NULL DEFAULT '',
    path                text[]    NOT NULL DEFAULT '{}',
    value               text      NOT NULL DEFAULT '',
    -- When the identifiers of the claim last changed hands in `default`, in µs since 1970; 0: never.
    begins              bigint    NOT NULL DEFAULT 0,
    CONSTRAINT verification_queue_key PRIMARY KEY (dataset_id, position),
    CONSTRAINT verification_queue_change_known CHECK (change IN ('verified', 'given_up', 'forgotten', 'compared', 'all'))
);
CREATE INDEX verification_queue_of_user ON verification_queue (dataset_id, user_id);

-- An erasure finds what a user verified, and who verified the same.
CREATE INDEX log_of_verified_users ON log (dataset_id, (content ->> 'user_id')) WHERE kind = 'verification';
CREATE INDEX log_of_verified_values ON log (dataset_id, lower(content ->> 'value')) WHERE kind = 'verification';

INSERT INTO verification_queue (dataset_id, change) SELECT dataset_id, 'all' FROM dataset WHERE name <> 'default';

-- What began before an identifier changed hands gets no owner by who verifies it later.
INSERT INTO pending_rebuild (dataset_id) SELECT dataset_id FROM dataset ON CONFLICT DO NOTHING;
