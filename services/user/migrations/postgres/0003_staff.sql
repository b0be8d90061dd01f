-- The password was given out by somebody else: until it is changed, a session can do nothing else.
ALTER TABLE accounts ADD COLUMN must_change_password BIGINT NOT NULL DEFAULT 0;
-- Roles that wait for the word of an admin other than the one who asked.
CREATE TABLE role_requests (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    role TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested BIGINT NOT NULL,
    PRIMARY KEY (user_id, role)
);
-- Everybody who ever held the role of admin. The second is granted by the first alone, because there is nobody else yet;
-- everyone after that needs two.
CREATE TABLE admins (
    user_id TEXT PRIMARY KEY REFERENCES accounts (user_id),
    granted BIGINT NOT NULL
);
INSERT INTO admins (user_id, granted) SELECT user_id, created FROM accounts WHERE roles LIKE '%admin%';
-- Why a client was noted as vulnerable, or no longer; sealed with the client's key.
CREATE TABLE vulnerability_notes (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    position BIGINT NOT NULL,
    vulnerable BIGINT NOT NULL,
    reason_sealed BYTEA,
    noted_by TEXT NOT NULL,
    noted BIGINT NOT NULL,
    PRIMARY KEY (user_id, position)
);
