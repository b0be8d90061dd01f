-- Users' keys are kept in files of their own, where destroying them is real; what is left in user_key moves there at the
-- start. Why an account was erased was free text, and is not kept.
UPDATE accounts SET erase_reason = NULL;
