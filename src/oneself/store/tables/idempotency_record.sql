-- The table `idempotency_record`: the first response to each request or event that may be repeated.

-- name: find
-- The records of keys.
-- $2: keys
SELECT key, seq, profile_id, fingerprint, response
FROM idempotency_record
WHERE dataset_id = $1 AND key = ANY ($2::text[]);

-- name: put
-- Insert records.
-- $2: keys
-- $3: seqs
-- $4: profiles
-- $5: fingerprints
-- $6: responses
INSERT INTO idempotency_record (dataset_id, key, seq, profile_id, fingerprint, response)
SELECT $1, row.*
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bytea[]) AS row;

-- name: blank_of_profiles
-- Keep that requests about profiles were answered, but neither the requests nor the responses.
-- $2: profile ids
UPDATE idempotency_record SET fingerprint = '', response = NULL
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);
