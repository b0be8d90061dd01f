CREATE TABLE allowed_jumps (
    symbol TEXT NOT NULL,
    date TEXT NOT NULL,
    PRIMARY KEY (symbol, date)
);
