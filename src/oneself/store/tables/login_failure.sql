-- The table `login_failure`: failed attempts to sign in, counted per subject. $1 is the organisation.

-- name: put
-- Count one more failure of each subject.
-- $2: subjects, as digests
-- $3: now
-- $4: when a window that begins now ends
INSERT INTO login_failure (org_id, subject, failures, expires_at)
SELECT $1, subject, 1, $4 FROM unnest($2::bytea[]) AS subject ORDER BY subject
ON CONFLICT ON CONSTRAINT login_failure_pkey DO UPDATE
SET failures = CASE WHEN login_failure.expires_at <= $3 THEN 1 ELSE login_failure.failures + 1 END,
    expires_at = CASE WHEN login_failure.expires_at <= $3 THEN excluded.expires_at
                      ELSE login_failure.expires_at END;

-- name: list
-- The counts of subjects whose window has not ended.
-- $2: subjects, as digests
-- $3: now
SELECT subject, failures, expires_at
FROM login_failure
WHERE org_id = $1 AND subject = ANY ($2::bytea[]) AND expires_at > $3;

-- name: delete
-- Delete the count of a subject.
-- $2: subject, as a digest
DELETE FROM login_failure WHERE org_id = $1 AND subject = $2;
