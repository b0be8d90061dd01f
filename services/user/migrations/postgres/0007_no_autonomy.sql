-- Nothing reads it: the mandate of a portfolio says how far the agent may go.
ALTER TABLE accounts DROP COLUMN autonomy;
