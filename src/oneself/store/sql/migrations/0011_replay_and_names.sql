-- One flag of the log said two things: that content was erased, and that an entry is not judged again when it is
-- replayed. Two columns say them now. Some tables get the names that the rest of the project uses for them.

ALTER TABLE log ADD COLUMN content_redacted boolean NOT NULL DEFAULT false;
ALTER TABLE log ADD COLUMN replay text NOT NULL DEFAULT 'judge';
-- An event whose body still has its user lost nothing: every redaction removes that. Of other entries the old flag
-- does not tell, so they keep saying that they are redacted.
UPDATE log
SET content_redacted = redacted AND NOT coalesce(content -> 'body' ? 'user', false), replay = 'apply'
WHERE redacted OR plan @> '{"pinned": true}';
ALTER TABLE log DROP COLUMN redacted;
ALTER TABLE log ADD CONSTRAINT log_replay_known CHECK (replay IN ('judge', 'apply'));

ALTER TABLE answer RENAME TO idempotency_record;
ALTER TABLE idempotency_record RENAME CONSTRAINT answer_key TO idempotency_record_key;
ALTER INDEX answer_by_profile RENAME TO idempotency_record_by_profile;

ALTER TABLE indexing RENAME TO reindex_job;
ALTER TABLE reindex_job RENAME COLUMN rule_id TO job_id;
ALTER TABLE reindex_job RENAME CONSTRAINT indexing_key TO reindex_job_key;
ALTER TABLE reindex_job RENAME CONSTRAINT indexing_state_known TO reindex_job_state_known;
