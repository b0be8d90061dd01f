-- A one-time password ends by itself, in real time, and with the admin who was told it. One that was given out before this
-- was kept counts as ended: `moneta staff reset` gives another.
CREATE TABLE one_time_passwords (
    user_id TEXT PRIMARY KEY REFERENCES accounts (user_id),
    issued_by TEXT NOT NULL,
    ends BIGINT NOT NULL
);
CREATE INDEX one_time_passwords_by_issuer ON one_time_passwords (issued_by);
-- What a disabled admin asked for is not asked for any more.
DELETE FROM role_requests WHERE requested_by IN (SELECT user_id FROM accounts WHERE status <> 'active');
