CREATE TABLE orders (
    order_id TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    client_order_id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    portfolio_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    symbol TEXT NOT NULL,
    instrument_kind TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    limit_price TEXT,
    time_in_force TEXT NOT NULL,
    origin TEXT NOT NULL,
    recommendation_id TEXT,
    proposal_digest TEXT NOT NULL,
    decision_id TEXT,
    expected_price TEXT,
    warning_acknowledged BIGINT NOT NULL,
    currency TEXT NOT NULL,
    reference_price TEXT,
    reserved_minor BIGINT NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    working BIGINT NOT NULL,
    reason TEXT NOT NULL,
    verdicts TEXT NOT NULL,
    created_micros BIGINT NOT NULL,
    updated_micros BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (owner_id, idempotency_key)
);

CREATE INDEX orders_by_portfolio ON orders (portfolio_id, seq);

CREATE INDEX orders_working ON orders (working, seq);

CREATE TABLE fills (
    execution_id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (order_id),
    line BIGINT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    price TEXT NOT NULL,
    commission_minor BIGINT NOT NULL,
    spread_minor BIGINT NOT NULL,
    at_micros BIGINT NOT NULL,
    date TEXT NOT NULL,
    remaining_nanos BIGINT NOT NULL,
    booked BIGINT NOT NULL,
    UNIQUE (order_id, line)
);

CREATE INDEX fills_booked ON fills (booked);

CREATE TABLE messages (
    message_id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_micros BIGINT NOT NULL
);

CREATE INDEX messages_by_owner ON messages (owner_id, at_micros);

CREATE TABLE accounts (
    portfolio_id TEXT NOT NULL PRIMARY KEY,
    currency TEXT NOT NULL,
    cash_minor BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE kill_switches (
    scope TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    engaged_by TEXT NOT NULL,
    at_micros BIGINT NOT NULL,
    PRIMARY KEY (scope, target)
);
