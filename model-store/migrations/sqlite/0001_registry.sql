CREATE TABLE versions (
    version TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    number BIGINT NOT NULL,
    label TEXT NOT NULL,
    definition TEXT NOT NULL,
    signature BLOB NOT NULL,
    size_bytes BIGINT NOT NULL,
    registered_at BIGINT NOT NULL,
    registered_by TEXT NOT NULL,
    UNIQUE (model, number)
);
CREATE TABLE files (
    version TEXT NOT NULL REFERENCES versions (version),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    PRIMARY KEY (version, path)
);
CREATE INDEX files_by_digest ON files (sha256);
CREATE TABLE evaluations (
    version TEXT NOT NULL REFERENCES versions (version),
    sequence BIGINT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    metrics TEXT NOT NULL,
    PRIMARY KEY (version, sequence)
);
CREATE TABLE alias_changes (
    revision BIGINT PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES versions (version),
    previous TEXT,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX alias_changes_by_model ON alias_changes (model, alias, revision);
CREATE TABLE revision (
    id BIGINT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO revision (id, value) VALUES (1, 0);
CREATE TRIGGER versions_are_immutable BEFORE UPDATE ON versions BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;
CREATE TRIGGER files_are_immutable BEFORE UPDATE ON files BEGIN SELECT RAISE(ABORT, 'files are immutable'); END;
CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON alias_changes BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_is_append_only_delete BEFORE DELETE ON alias_changes BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
