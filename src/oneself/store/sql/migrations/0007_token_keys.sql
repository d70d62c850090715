-- Keys that persisted tokens are sealed with (wire/interactions §7).

-- A key is spread before it seals: every process knows it by the time `active_from` is past.
CREATE TABLE token_key (
    org_id         integer     NOT NULL,
    key_id         integer     NOT NULL,
    secret_sealed  bytea       NOT NULL,
    created_at     timestamptz NOT NULL,
    active_from    timestamptz NOT NULL,
    CONSTRAINT token_key_pkey PRIMARY KEY (org_id, key_id),
    CONSTRAINT token_key_org_fkey FOREIGN KEY (org_id) REFERENCES organisation (org_id),
    CONSTRAINT token_key_id_range CHECK (key_id BETWEEN 1 AND 65535)
);

-- Which key seals: the one that became active last. The database's clock decides, for all processes alike.
CREATE VIEW token_key_state AS
SELECT token_key.*,
       CASE WHEN active_from > statement_timestamp() THEN 'waiting'
            WHEN row_number() OVER (PARTITION BY org_id, active_from > statement_timestamp()
                                    ORDER BY active_from DESC, key_id DESC) = 1 THEN 'active'
            ELSE 'retired' END AS state
  FROM token_key;
