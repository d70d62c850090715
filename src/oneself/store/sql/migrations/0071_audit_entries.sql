-- What was changed in an organisation that no dataset's log has: applications, webhooks, console users, and datasets
-- themselves. The other entries of the audit log stay entries of the table log.

CREATE TABLE audit_entry (
    org_id integer NOT NULL,
    seq bigint NOT NULL,
    entry_id uuid NOT NULL,
    kind text NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT audit_entry_key PRIMARY KEY (org_id, seq, entry_id)
);
