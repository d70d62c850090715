-- Names of a dataset that one transaction has locked together, because one advisory lock for each of very many would
-- fill the lock table of the server (docs/decisions/0063-decisions-about-a-hundred-thousand-parts.md).
CREATE TABLE wide_lock (
    dataset_id          integer   NOT NULL CONSTRAINT wide_lock_key PRIMARY KEY,
    lock_id             uuid      NOT NULL
);

-- Unlogged: after a crash of the server, no transaction is left that locks them.
CREATE UNLOGGED TABLE wide_lock_name (
    lock_id             uuid      NOT NULL,
    hash                bigint    NOT NULL,
    CONSTRAINT wide_lock_name_key PRIMARY KEY (lock_id, hash)
);
