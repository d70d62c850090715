-- The table `idempotency_record`: the first response to each request or event that may be repeated.

-- name: find
-- The records of keys that have not expired.
-- $2: keys
SELECT key, seq, profile_id, fingerprint, response, expires_at
FROM idempotency_record
WHERE dataset_id = $1 AND key = ANY ($2::text[])
  AND (expires_at IS NULL OR expires_at > clock_timestamp());

-- name: put
-- Insert records, in place of those that have expired.
-- $2: keys
-- $3: seqs
-- $4: profiles
-- $5: fingerprints
-- $6: responses
-- $7: when they expire
INSERT INTO idempotency_record (dataset_id, key, seq, profile_id, fingerprint, response, expires_at)
SELECT $1, row.*
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bytea[], $7::timestamptz[]) AS row
ON CONFLICT ON CONSTRAINT idempotency_record_key DO UPDATE
SET seq = excluded.seq, profile_id = excluded.profile_id, fingerprint = excluded.fingerprint,
    response = excluded.response, expires_at = excluded.expires_at
WHERE idempotency_record.expires_at <= clock_timestamp()
RETURNING key;

-- name: blank_of_profiles
-- Keep that requests about profiles were answered, but neither the requests nor the responses.
-- $2: profile ids
UPDATE idempotency_record SET fingerprint = '', response = NULL
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);
