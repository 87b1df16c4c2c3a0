-- Keys for receipts are listed in the order in which they came, and one that was withdrawn by itself is never
-- registered again: it stays, of no gateway key any more.
CREATE TABLE receipt_keys_in_order (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    key_id TEXT REFERENCES api_keys (id),
    created_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    UNIQUE (organization_id, id),
    CHECK ((key_id IS NULL) = (withdrawn_at IS NOT NULL))
);
INSERT INTO receipt_keys_in_order (organization_id, id, gateway_id, key_id, created_at)
    SELECT organization_id, id, gateway_id, key_id, created_at FROM receipt_keys ORDER BY created_at, id;
DROP TABLE receipt_keys;
ALTER TABLE receipt_keys_in_order RENAME TO receipt_keys;
CREATE INDEX receipt_keys_by_key ON receipt_keys (key_id);
CREATE INDEX receipt_keys_in_order ON receipt_keys (organization_id, created_at, seq);
