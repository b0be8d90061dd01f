-- Withdrawals beside deposits: an amount below zero goes out.
ALTER TABLE deposits RENAME TO movements;
CREATE INDEX movements_by_user ON movements (user_id, at);
DROP INDEX deposits_by_user;
