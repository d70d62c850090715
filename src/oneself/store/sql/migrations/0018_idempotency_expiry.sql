-- An idempotency key expires after seven days and belongs to (application, person, tracker, route); its record is
-- stored under a digest of these (service/ingest/idempotency.py). Ids of events do not expire.
--
-- Records that are not blank are converted if they are of POST /profiles, the only request whose repeat would make
-- something twice; blank ones, of erased people, are converted as if they were, so that no repeat brings the person
-- back. A client id has no colon.

ALTER TABLE idempotency_record ADD COLUMN expires_at timestamptz;

DELETE FROM idempotency_record
WHERE key LIKE 'request:%'
  AND fingerprint <> ''
  AND (response IS NULL OR substr(response, 1, 4) <> '\x32303120');

UPDATE idempotency_record
SET expires_at = clock_timestamp() + interval '7 days',
    key = 'request:' || encode(sha256(convert_to(
        '[' || to_json(split_part(key, ':', 2))::text
        || ',null,null,"POST /t/{org}/cds/api/v1/profiles",'
        || to_json(substr(key, length(split_part(key, ':', 2)) + 10))::text || ']',
        'UTF8')), 'hex')
WHERE key LIKE 'request:%';

CREATE INDEX idempotency_record_by_expiry ON idempotency_record (expires_at) WHERE expires_at IS NOT NULL;
