-- An address reserves nothing until it is verified: several accounts may have it, of which one may have verified it.
ALTER TABLE account DROP CONSTRAINT account_username_key;
CREATE UNIQUE INDEX account_verified_once ON account (org_id, username_key) WHERE verified ? 'emailaddress';
-- For sign-ins and for lists; very many accounts with one address slow neither.
CREATE INDEX account_of_sign_in
    ON account (org_id, username_key, (verified ? 'emailaddress') DESC, created_at DESC, user_id);
CREATE INDEX account_by_username ON account (org_id, username_key, user_id);
