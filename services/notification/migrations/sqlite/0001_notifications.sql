CREATE TABLE notifications (
    notification_id TEXT PRIMARY KEY,
    position BIGINT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    link TEXT NOT NULL,
    event_id TEXT NOT NULL,
    mandatory BIGINT NOT NULL,
    created BIGINT NOT NULL,
    read_at BIGINT
);
CREATE INDEX notifications_by_user ON notifications (user_id, position);
-- One row a channel. not_before is the platform's clock (quiet hours), retry_at the wall clock (back-off).
CREATE TABLE deliveries (
    notification_id TEXT NOT NULL REFERENCES notifications (notification_id),
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    at BIGINT NOT NULL,
    detail TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    PRIMARY KEY (notification_id, channel)
);
CREATE INDEX deliveries_due ON deliveries (status, not_before);
CREATE TABLE preferences (
    user_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    channel TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    PRIMARY KEY (user_id, topic, channel)
);
CREATE TABLE quiet_hours (
    user_id TEXT PRIMARY KEY,
    quiet_from TEXT NOT NULL,
    quiet_to TEXT NOT NULL
);
-- The two sides of "the market fell" and "what your portfolio is worth"; either may come first.
CREATE TABLE market_falls (
    event_id TEXT PRIMARY KEY,
    date TEXT NOT NULL,
    reference TEXT NOT NULL,
    kind TEXT NOT NULL,
    fall TEXT NOT NULL,
    from_date TEXT NOT NULL
);
CREATE INDEX market_falls_by_date ON market_falls (date);
CREATE TABLE valuations (
    portfolio_id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    date TEXT NOT NULL,
    value_minor BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    currency TEXT NOT NULL
);
-- Users whose data were erased: nothing is told to or about them any more.
CREATE TABLE erased_users (
    user_id TEXT PRIMARY KEY
);
