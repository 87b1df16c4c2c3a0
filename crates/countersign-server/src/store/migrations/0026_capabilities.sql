-- What a gateway says it understands of bundles, with commas between; of one of an earlier version, nothing.
ALTER TABLE gateways ADD COLUMN understands TEXT NOT NULL DEFAULT '';
