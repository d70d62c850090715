-- The table `issuer_claims`: what trusted issuers reported last of their users.

-- name: lock
-- Let nobody else record what an issuer reports of a user until the transaction ends.
-- $1: the key of the lock
SELECT pg_advisory_xact_lock($1);

-- name: find
-- What the issuer of a user reported last.
-- $2: user id
SELECT issued_at, digests FROM issuer_claims WHERE dataset_id = $1 AND user_id = $2;

-- name: put
-- Record what the issuer of a user reported last.
-- $2: user id
-- $3: when the token was issued, in µs since 1970
-- $4: claim → digest
INSERT INTO issuer_claims (dataset_id, user_id, issued_at, digests) VALUES ($1, $2, $3, $4)
ON CONFLICT (dataset_id, user_id) DO UPDATE SET issued_at = excluded.issued_at, digests = excluded.digests;

-- name: delete
-- Forget what issuers reported of users.
-- $2: user ids
DELETE FROM issuer_claims WHERE dataset_id = $1 AND user_id = ANY ($2::text[]);
