-- The streams under way at a gateway, of each organization that has any: what it reported last, and no history.
-- `workloads` are those with the most of them, in JSON.
CREATE TABLE live_streams (
    gateway_id TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    streams BIGINT NOT NULL,
    workloads TEXT NOT NULL,
    PRIMARY KEY (gateway_id, organization_id)
);
CREATE INDEX live_streams_of_organization ON live_streams (organization_id);

-- When it reported them; null for one that does not.
ALTER TABLE gateways ADD COLUMN streams_at BIGINT;
