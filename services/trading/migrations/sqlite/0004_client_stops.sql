-- Which holds are the kill switch for one client: they begin here, and compliance is told.
ALTER TABLE holds ADD COLUMN kill_switch BIGINT NOT NULL DEFAULT 0;
