-- How certificates become attributes: `transformations` is the API's list in JSON.
CREATE TABLE workload_identity_providers (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT,
    enabled BIGINT NOT NULL,
    transformations TEXT NOT NULL,
    conditions TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX workload_identity_providers_in_order
    ON workload_identity_providers (organization_id, created_at, seq);

-- Which attributes get tokens of which service account: `matchers` and `permissions` are the API's
-- objects in JSON.
CREATE TABLE federation_rules (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    provider_id TEXT NOT NULL REFERENCES workload_identity_providers (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    service_account_id TEXT NOT NULL REFERENCES service_accounts (id),
    name TEXT,
    description TEXT,
    enabled BIGINT NOT NULL,
    matchers TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX federation_rules_in_order ON federation_rules (provider_id, created_at, seq);
CREATE INDEX federation_rules_of_service_account ON federation_rules (service_account_id);
CREATE INDEX federation_rules_of_organization ON federation_rules (organization_id);
