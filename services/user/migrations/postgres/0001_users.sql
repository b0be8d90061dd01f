-- Accounts. Personal fields are sealed with the user's own key, which is wrapped under the master key; the e-mail address
-- is found by a keyed hash. Erasure destroys user_key and with it everything that was sealed.
CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY,
    email_index TEXT UNIQUE,
    email_sealed BYTEA,
    display_name_sealed BYTEA,
    password_hash TEXT,
    user_key BYTEA,
    roles TEXT NOT NULL,
    base_currency TEXT NOT NULL,
    status TEXT NOT NULL,
    vulnerable BIGINT NOT NULL,
    autonomy TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    created BIGINT NOT NULL,
    erased BIGINT,
    erase_reason TEXT
);
-- Failed logins by e-mail index, whether or not an account exists, so that both behave alike.
CREATE TABLE login_attempts (
    email_index TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    locked_until BIGINT NOT NULL
);
-- A family is one login; each refresh makes a new token of the same family.
CREATE TABLE session_families (
    family_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    started BIGINT NOT NULL,
    ended BIGINT
);
CREATE INDEX session_families_by_user ON session_families (user_id);
CREATE TABLE refresh_tokens (
    token_hash TEXT PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES session_families (family_id),
    issued BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT
);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);
CREATE TABLE preferences (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE TABLE consents (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    position BIGINT NOT NULL,
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    decision TEXT NOT NULL,
    decided BIGINT NOT NULL,
    PRIMARY KEY (user_id, position)
);
-- Versions are immutable; only erasure takes the answers away.
CREATE TABLE questionnaires (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    version BIGINT NOT NULL,
    submitted BIGINT NOT NULL,
    answers_sealed BYTEA,
    risk_tolerance TEXT NOT NULL,
    capacity_for_loss TEXT NOT NULL,
    volatility_ceiling TEXT NOT NULL,
    cause TEXT NOT NULL UNIQUE,
    PRIMARY KEY (user_id, version)
);
-- Keys of this service itself, sealed under the master key.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    wrapped_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);
