-- The audit log. Triggers refuse what the program never does; the chain of hashes shows what is done behind its back.
CREATE TABLE audit_entries (
    sequence BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    event_id TEXT NOT NULL UNIQUE,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_entries_by_user ON audit_entries (user_id, sequence);
CREATE INDEX audit_entries_by_subject ON audit_entries (subject, sequence);
CREATE FUNCTION audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''audit entries are never changed or removed''; END';
CREATE TRIGGER audit_entries_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay();
-- The end of the log, sealed with a key under the master key.
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY,
    wrapped_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE TABLE alerts (
    alert_id TEXT PRIMARY KEY,
    position BIGINT NOT NULL UNIQUE,
    rule_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    status TEXT NOT NULL,
    raised BIGINT NOT NULL,
    resolution TEXT NOT NULL,
    resolved_by TEXT NOT NULL
);
-- What surveillance remembers.
CREATE TABLE trades (
    execution_id TEXT PRIMARY KEY,
    portfolio_id TEXT NOT NULL,
    side TEXT NOT NULL,
    value_minor BIGINT NOT NULL,
    cost_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX trades_by_portfolio ON trades (portfolio_id, at);
CREATE TABLE portfolio_falls (
    portfolio_id TEXT PRIMARY KEY,
    period TEXT NOT NULL,
    twr_index TEXT NOT NULL,
    date TEXT NOT NULL,
    told BIGINT NOT NULL
);
CREATE TABLE portfolio_cash (
    portfolio_id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    currency TEXT NOT NULL
);
CREATE TABLE deposits (
    transaction_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX deposits_by_user ON deposits (user_id, at);
CREATE TABLE refused_orders (
    order_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX refused_orders_by_user ON refused_orders (user_id, at);
