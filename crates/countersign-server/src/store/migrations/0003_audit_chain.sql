-- Each event names the hash of the one before it; the organization keeps the newest. The defaults
-- are only for the rows that there are: every one of them is chained in the same transaction.
ALTER TABLE audit_logs ADD COLUMN chain_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_logs ADD COLUMN previous_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_logs ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';

ALTER TABLE organizations ADD COLUMN audit_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN audit_sha256 TEXT NOT NULL
    DEFAULT '0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE organizations ADD COLUMN audit_at BIGINT NOT NULL DEFAULT 0;
