-- The outbox holds what is sent by mail and what is sent to the webhooks of organisations.

ALTER TABLE mail RENAME TO delivery;
ALTER TABLE delivery RENAME COLUMN mail_id TO delivery_id;
-- How it is sent: `mail` or `webhook`.
ALTER TABLE delivery ADD COLUMN channel text NOT NULL DEFAULT 'mail';
ALTER TABLE delivery ALTER COLUMN channel DROP DEFAULT;
ALTER TABLE delivery RENAME CONSTRAINT mail_pkey TO delivery_pkey;
ALTER TABLE delivery RENAME CONSTRAINT mail_account_fkey TO delivery_account_fkey;
ALTER INDEX mail_due RENAME TO delivery_due;
ALTER INDEX mail_by_account RENAME TO delivery_by_account;
ALTER INDEX mail_by_expiry RENAME TO delivery_by_expiry;
ALTER INDEX mail_delivered RENAME TO delivery_delivered;
