-- The response to a repeated request is bytes that the store does not read. Interfaces write them as a status, a
-- space, the headers as JSON, a line feed, and the body.

ALTER TABLE idempotency_record ADD COLUMN response bytea;
UPDATE idempotency_record
SET response = convert_to(status::text || ' ' || coalesce(headers, '[]')::text || E'\n', 'UTF8') || body
WHERE status IS NOT NULL AND body IS NOT NULL;
ALTER TABLE idempotency_record DROP COLUMN status, DROP COLUMN headers, DROP COLUMN body;
