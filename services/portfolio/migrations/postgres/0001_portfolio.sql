CREATE TABLE portfolios (
    portfolio_id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    client_reference TEXT NOT NULL,
    version BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    contributions_minor BIGINT NOT NULL,
    target_source TEXT,
    created_micros BIGINT NOT NULL,
    UNIQUE (owner_id, client_reference)
);

CREATE TABLE targets (
    portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
    symbol TEXT NOT NULL,
    weight TEXT NOT NULL,
    PRIMARY KEY (portfolio_id, symbol)
);

CREATE TABLE transactions (
    transaction_id TEXT NOT NULL PRIMARY KEY,
    portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at_micros BIGINT NOT NULL,
    date TEXT NOT NULL,
    symbol TEXT,
    quantity_nanos BIGINT,
    price TEXT,
    cash_minor BIGINT NOT NULL,
    commission_minor BIGINT NOT NULL,
    spread_minor BIGINT NOT NULL,
    realised_minor BIGINT,
    order_id TEXT,
    execution_id TEXT UNIQUE,
    client_reference TEXT,
    note TEXT NOT NULL,
    UNIQUE (portfolio_id, seq),
    UNIQUE (portfolio_id, client_reference)
);

CREATE TABLE postings (
    transaction_id TEXT NOT NULL REFERENCES transactions (transaction_id),
    line BIGINT NOT NULL,
    account TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, line)
);

CREATE TABLE lots (
    portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
    lot_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    opened TEXT NOT NULL,
    opened_micros BIGINT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    cost_minor BIGINT NOT NULL,
    PRIMARY KEY (portfolio_id, lot_id)
);

CREATE TABLE closes (
    symbol TEXT NOT NULL PRIMARY KEY,
    date TEXT NOT NULL,
    close TEXT NOT NULL
);

CREATE TABLE valuations (
    portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
    date TEXT NOT NULL,
    seq BIGINT NOT NULL,
    version BIGINT NOT NULL,
    value_minor BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    contributions_minor BIGINT NOT NULL,
    day_return TEXT NOT NULL,
    twr_index TEXT NOT NULL,
    twr_peak TEXT NOT NULL,
    PRIMARY KEY (portfolio_id, date)
);

CREATE TABLE valuation_lines (
    portfolio_id TEXT NOT NULL,
    date TEXT NOT NULL,
    symbol TEXT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    price TEXT NOT NULL,
    value_minor BIGINT NOT NULL,
    PRIMARY KEY (portfolio_id, date, symbol),
    FOREIGN KEY (portfolio_id, date) REFERENCES valuations (portfolio_id, date)
);
