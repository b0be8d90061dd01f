CREATE TABLE market_views (
    digest TEXT PRIMARY KEY,
    date   TEXT NOT NULL,
    view   TEXT NOT NULL
);
CREATE TABLE decisions (
    decision_id       TEXT PRIMARY KEY,
    portfolio_id      TEXT NOT NULL,
    owner_id          TEXT NOT NULL,
    at                BIGINT NOT NULL,
    date              TEXT NOT NULL,
    outcome           TEXT NOT NULL,
    record            TEXT NOT NULL,
    digest            TEXT NOT NULL,
    recommendation_id TEXT
);
CREATE INDEX decisions_by_portfolio ON decisions (portfolio_id, at);
CREATE TABLE recommendations (
    recommendation_id TEXT PRIMARY KEY,
    portfolio_id      TEXT NOT NULL,
    owner_id          TEXT NOT NULL,
    decision_id       TEXT NOT NULL,
    status            TEXT NOT NULL,
    status_reason     TEXT NOT NULL,
    autonomy          TEXT NOT NULL,
    summary           TEXT NOT NULL,
    proposal_digest   TEXT NOT NULL,
    portfolio_version BIGINT NOT NULL,
    questionnaire     BIGINT NOT NULL,
    mandate_version   BIGINT NOT NULL,
    issued            BIGINT NOT NULL,
    expires           BIGINT NOT NULL,
    version           BIGINT NOT NULL
);
CREATE INDEX recommendations_by_portfolio ON recommendations (portfolio_id, issued);
CREATE INDEX recommendations_by_owner ON recommendations (owner_id, issued);
CREATE TABLE recommendation_orders (
    recommendation_id TEXT NOT NULL,
    trade             BIGINT NOT NULL,
    quantity          BIGINT NOT NULL,
    order_id          TEXT,
    refusal           TEXT NOT NULL,
    PRIMARY KEY (recommendation_id, trade)
);
CREATE TABLE mandates (
    portfolio_id TEXT NOT NULL,
    version      BIGINT NOT NULL,
    owner_id     TEXT NOT NULL,
    body         TEXT NOT NULL,
    updated      BIGINT NOT NULL,
    PRIMARY KEY (portfolio_id, version)
);
CREATE TABLE agent_state (
    portfolio_id TEXT PRIMARY KEY,
    reviewed_on  TEXT NOT NULL
);
CREATE TABLE market_falls (
    date TEXT PRIMARY KEY
);
CREATE TABLE turnover (
    execution_id TEXT PRIMARY KEY,
    portfolio_id TEXT NOT NULL,
    at           BIGINT NOT NULL,
    value_minor  BIGINT NOT NULL
);
CREATE INDEX turnover_by_portfolio ON turnover (portfolio_id, at);
