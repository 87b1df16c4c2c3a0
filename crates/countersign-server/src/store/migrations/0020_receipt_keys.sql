-- The keys of gateways whose receipts an organization believes, each registered with a gateway key, which stays
-- for as long as they do.
CREATE TABLE receipt_keys (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX receipt_keys_by_key ON receipt_keys (key_id);
-- The change that an event belongs to: its token, and the organization's revision before it. Events of before
-- have none.
ALTER TABLE audit_logs ADD COLUMN commit_token TEXT;
ALTER TABLE audit_logs ADD COLUMN commit_after BIGINT;
-- The token of the organization's latest change.
ALTER TABLE organizations ADD COLUMN audit_token TEXT;
