-- The table `idempotency_record`: the first response to each request or event that may be repeated.

-- name: find
-- The records of keys.
-- $2: keys
SELECT key, seq, profile_id, fingerprint, status, headers, body
FROM idempotency_record
WHERE dataset_id = $1 AND key = ANY ($2::text[]);

-- name: put
-- Insert records.
-- $2: keys
-- $3: seqs
-- $4: profiles
-- $5: fingerprints
-- $6: statuses
-- $7: headers
-- $8: bodies
INSERT INTO idempotency_record (dataset_id, key, seq, profile_id, fingerprint, status, headers, body)
SELECT $1, row.key, row.seq, row.profile_id, row.fingerprint, row.status, row.headers::jsonb, row.body
FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::integer[], $7::text[], $8::bytea[])
     AS row (key, seq, profile_id, fingerprint, status, headers, body);

-- name: blank_of_profiles
-- Keep that requests about profiles were answered, but neither the requests nor the responses.
-- $2: profile ids
UPDATE idempotency_record SET fingerprint = '', status = NULL, headers = NULL, body = NULL
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);
