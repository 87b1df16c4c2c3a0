-- The organizations that deleted gateway keys were limited to, while gateways are listed that asked with them:
-- such a gateway concerns these, and no others.
CREATE TABLE former_key_organizations (
    key_id TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (key_id, organization_id)
);
