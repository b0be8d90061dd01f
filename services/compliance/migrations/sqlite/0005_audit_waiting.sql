-- Events that came while the audit log was damaged, in their order: they enter it once it is mended. Each is marked, so that
-- nothing can be hidden here that was an entry.
CREATE TABLE audit_waiting (
    event_id TEXT PRIMARY KEY,
    position BIGINT NOT NULL UNIQUE,
    envelope TEXT NOT NULL,
    mark BLOB NOT NULL
);
-- Which anchors the webhook has taken.
ALTER TABLE audit_anchors ADD COLUMN posted BIGINT NOT NULL DEFAULT 0;
