-- Holds of compliance's that cover orders, as its events tell them: what the controls look at within the transaction of an order.
-- Compliance's own store is the source.
CREATE TABLE holds (
    hold_id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    portfolio_id TEXT NOT NULL,
    client_text TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    at_micros BIGINT NOT NULL,
    active BIGINT NOT NULL
);

CREATE INDEX holds_by_owner ON holds (owner_id, active);
