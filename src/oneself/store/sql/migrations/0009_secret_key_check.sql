-- What tells whether a process has the secret key of this deployment, before it seals, hashes or erases anything.

-- At most one row. The value is a keyed digest of a constant: it shows nothing of the key.
CREATE TABLE secret_key_check (
    only_row     boolean      NOT NULL DEFAULT true,
    check_value  bytea        NOT NULL,
    created_at   timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT secret_key_check_pkey PRIMARY KEY (only_row),
    CONSTRAINT secret_key_check_one CHECK (only_row)
);
