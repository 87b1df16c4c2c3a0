-- The key that a gateway asked for bundles with last: without it, the gateway gets no more of them.
ALTER TABLE gateways ADD COLUMN key_id TEXT;
