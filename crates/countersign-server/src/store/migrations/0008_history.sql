-- A commit draws a token beside its revision: after a failover or a restored backup the same
-- revisions are given again, and only the token tells the two histories apart.
ALTER TABLE deployment ADD COLUMN token TEXT NOT NULL DEFAULT '00000000000000000000000000000000';
CREATE TABLE history (
    revision BIGINT PRIMARY KEY,
    token TEXT NOT NULL
);

-- What a gateway last reported is a point of a history, and whether it would survive a restart.
ALTER TABLE gateways ADD COLUMN token TEXT NOT NULL DEFAULT '00000000000000000000000000000000';
ALTER TABLE gateways ADD COLUMN durable BIGINT NOT NULL DEFAULT 1;
