-- When an alert was resolved, platform clock; 0 while it is open.
ALTER TABLE alerts ADD COLUMN resolved BIGINT NOT NULL DEFAULT 0;
-- Where the head of the audit log was told outside, oldest first; each is chained to the one before.
CREATE TABLE audit_anchors (
    anchor BIGINT PRIMARY KEY,
    entries BIGINT NOT NULL,
    head TEXT NOT NULL,
    at BIGINT NOT NULL,
    previous TEXT NOT NULL,
    digest TEXT NOT NULL
);
