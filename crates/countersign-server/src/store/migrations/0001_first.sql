-- The one number of the whole deployment: every change takes the next, in the order of commits.
CREATE TABLE deployment (
    id BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO deployment (id, revision) VALUES (1, 0);

-- `clock` is the time of the latest write: it never runs backwards, whichever node writes.
CREATE TABLE organizations (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    clock BIGINT NOT NULL
);
CREATE INDEX organizations_by_revision ON organizations (revision);

CREATE TABLE projects (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    external_key_id TEXT,
    residency TEXT,
    created_at BIGINT NOT NULL,
    archived_at BIGINT
);
CREATE INDEX projects_in_order ON projects (organization_id, created_at, seq);

CREATE TABLE certificates (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT,
    cel_policy TEXT,
    valid_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    fingerprint {bytes} NOT NULL,
    pem {bytes} NOT NULL
);
CREATE INDEX certificates_in_order ON certificates (organization_id, created_at, seq);
CREATE INDEX certificates_by_expiry ON certificates (expires_at);

-- A row is an active certificate; the empty `project_id` is the organization itself.
CREATE TABLE activations (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    activated_at BIGINT NOT NULL,
    UNIQUE (certificate_id, project_id)
);
CREATE INDEX activations_in_order ON activations (organization_id, activated_at, seq);

CREATE TABLE service_accounts (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX service_accounts_in_order ON service_accounts (project_id, created_at, seq);

-- A gateway's key has no organization; an admin key has no project and no service account.
CREATE TABLE api_keys (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    organization_id TEXT REFERENCES organizations (id),
    project_id TEXT REFERENCES projects (id),
    service_account_id TEXT REFERENCES service_accounts (id),
    name TEXT NOT NULL,
    digest {bytes} NOT NULL UNIQUE,
    redacted_value TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX api_keys_in_order ON api_keys (organization_id, kind, created_at, seq);
CREATE INDEX api_keys_of_project ON api_keys (project_id, created_at, seq);
CREATE INDEX api_keys_of_service_account ON api_keys (service_account_id);

CREATE TABLE audit_logs (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    effective_at BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    project_id TEXT,
    project_name TEXT,
    actor_id TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX audit_logs_in_order ON audit_logs (organization_id, effective_at, seq);

CREATE TABLE audit_log_resources (
    organization_id TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    audit_seq BIGINT NOT NULL REFERENCES audit_logs (seq),
    PRIMARY KEY (organization_id, resource_id, audit_seq)
);

CREATE TABLE gateways (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX gateways_by_seen_at ON gateways (seen_at);
