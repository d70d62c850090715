-- Usernames are equal but for the case of ASCII letters: addresses that differ otherwise are different mailboxes, such as those
-- of faß.de and fass.de.
UPDATE account
SET username_key = translate(
    normalize(btrim(username), NFC), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'
)
WHERE username ~ '[^[:ascii:]]';

-- The development outbox lists mails in the order in which they were asked for.
DROP INDEX mail_by_time;
CREATE INDEX mail_delivered ON mail (org_id, created_at) WHERE delivered_at IS NOT NULL;
