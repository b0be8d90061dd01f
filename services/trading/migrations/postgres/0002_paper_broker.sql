CREATE TABLE venue_orders (
    client_order_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    kind TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    limit_price TEXT,
    time_in_force TEXT NOT NULL,
    currency TEXT NOT NULL,
    accepted_micros BIGINT NOT NULL,
    standing TEXT NOT NULL,
    reason TEXT NOT NULL,
    bars_worked BIGINT NOT NULL,
    last_worked TEXT,
    starved BIGINT NOT NULL
);

CREATE INDEX venue_orders_standing ON venue_orders (standing, accepted_micros);

CREATE TABLE venue_executions (
    execution_id TEXT NOT NULL PRIMARY KEY,
    client_order_id TEXT NOT NULL REFERENCES venue_orders (client_order_id),
    line BIGINT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    price TEXT NOT NULL,
    commission_minor BIGINT NOT NULL,
    spread_minor BIGINT NOT NULL,
    at_micros BIGINT NOT NULL,
    date TEXT NOT NULL,
    UNIQUE (client_order_id, line)
);
