CREATE TABLE instruments (
    symbol TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    aliases TEXT NOT NULL,
    complex BIGINT NOT NULL
);
CREATE TABLE series (
    symbol TEXT PRIMARY KEY REFERENCES instruments (symbol),
    object TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bars BIGINT NOT NULL,
    first_date TEXT NOT NULL,
    last_date TEXT NOT NULL
);
CREATE TABLE feed (
    id BIGINT PRIMARY KEY,
    date TEXT NOT NULL,
    phase TEXT NOT NULL,
    started TEXT NOT NULL
);
