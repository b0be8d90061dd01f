-- Access tokens name the generation of their account; ending every session of a user moves it on.
ALTER TABLE accounts ADD COLUMN token_generation BIGINT NOT NULL DEFAULT 0;
-- When, in real time, all of the user's sessions were last ended.
ALTER TABLE accounts ADD COLUMN tokens_ended BIGINT;
CREATE INDEX session_families_by_end ON session_families (ended);
