-- Holds of compliance's. The reasons are internal: no event and no client's view has them.
CREATE TABLE holds (
    hold_id TEXT PRIMARY KEY,
    position BIGINT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    portfolio_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    covers TEXT NOT NULL,
    severity TEXT NOT NULL,
    reason TEXT NOT NULL,
    client_text TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed BIGINT NOT NULL,
    active BIGINT NOT NULL,
    released_by TEXT NOT NULL,
    released BIGINT NOT NULL,
    release_reason TEXT NOT NULL
);
CREATE INDEX holds_by_user ON holds (user_id, active);
