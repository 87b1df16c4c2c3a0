-- A gateway key may be limited to some organizations. Whether it is stands with the key, so that one
-- whose organizations are lost reaches none, and not all.
ALTER TABLE api_keys ADD COLUMN limited BIGINT NOT NULL DEFAULT 0;
CREATE TABLE gateway_key_organizations (
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (key_id, organization_id)
);
