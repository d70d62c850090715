-- Which claims of an account are verified, and since when (docs/wire/cds.md §12). Claim → µs since 1970; every claim
-- that is stored before this migration is unverified.

ALTER TABLE account ADD COLUMN verified jsonb NOT NULL DEFAULT '{}';

-- The audit log lists verifications; they are rare among the reports of claims.
CREATE INDEX log_of_verifications ON log (dataset_id, seq DESC) WHERE kind = 'claims' AND name = 'verification';
