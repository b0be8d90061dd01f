-- Failed logins are counted by place: an account from an address or a device, an address, an account. Keys are keyed hashes,
-- made whether or not the account exists.
ALTER TABLE login_attempts RENAME COLUMN email_index TO key;
CREATE INDEX login_attempts_by_time ON login_attempts (last_at);
-- Devices from which a user has signed in; the device holds the token, and the store its hash.
CREATE TABLE devices (
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    seen BIGINT NOT NULL
);
CREATE INDEX devices_by_user ON devices (user_id, seen);
