-- The table `attempt_count`: attempts, such as failed sign-ins, counted per subject. $1 is the organisation.

-- name: put
-- Count one more attempt of each subject, and return the counts.
-- $2: subjects, as digests
-- $3: now
-- $4: when a window that begins now ends
INSERT INTO attempt_count (org_id, subject, attempts, expires_at)
SELECT $1, subject, 1, $4 FROM unnest($2::bytea[]) AS subject ORDER BY subject
ON CONFLICT ON CONSTRAINT attempt_count_pkey DO UPDATE
SET attempts = CASE WHEN attempt_count.expires_at <= $3 THEN 1 ELSE attempt_count.attempts + 1 END,
    expires_at = CASE WHEN attempt_count.expires_at <= $3 THEN excluded.expires_at
                      ELSE attempt_count.expires_at END
RETURNING subject, attempts, expires_at;

-- name: take_back
-- Count one attempt less of each subject.
-- $2: subjects, as digests
UPDATE attempt_count SET attempts = attempts - 1
WHERE org_id = $1 AND subject = ANY ($2::bytea[]) AND attempts > 0;

-- name: list
-- The counts of subjects whose window has not ended.
-- $2: subjects, as digests
-- $3: now
SELECT subject, attempts, expires_at
FROM attempt_count
WHERE org_id = $1 AND subject = ANY ($2::bytea[]) AND expires_at > $3;

-- name: delete
-- Delete the count of a subject.
-- $2: subject, as a digest
DELETE FROM attempt_count WHERE org_id = $1 AND subject = $2;
