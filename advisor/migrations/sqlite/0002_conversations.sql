CREATE TABLE user_keys (
    user_id TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL
);
CREATE TABLE erased_users (
    user_id TEXT PRIMARY KEY,
    at      BIGINT NOT NULL
);
CREATE TABLE conversations (
    conversation_id TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL,
    title           BLOB NOT NULL,
    created         BIGINT NOT NULL
);
CREATE INDEX conversations_by_user ON conversations (user_id, created);
CREATE TABLE messages (
    message_id      TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    sequence        BIGINT NOT NULL,
    role            TEXT NOT NULL,
    at              BIGINT NOT NULL,
    body            BLOB NOT NULL,
    UNIQUE (conversation_id, sequence)
);
CREATE TABLE pending_actions (
    token           TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL,
    created         BIGINT NOT NULL
);
