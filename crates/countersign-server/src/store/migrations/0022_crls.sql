-- How many revocation lists an organization has: who reads an organization's trust reads no further where there are
-- none.
ALTER TABLE organizations ADD COLUMN crls BIGINT NOT NULL DEFAULT 0;

-- What a missing list means, and the anchor's lists together.
ALTER TABLE certificates ADD COLUMN crl_missing TEXT;
ALTER TABLE certificates ADD COLUMN crls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN crl_entries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN crl_next_update BIGINT;

-- The serial numbers that lists name, as gateways get them. A set is there once in an organization, and as long as
-- a list has it.
CREATE TABLE revoked_sets (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    sha256 {bytes} NOT NULL,
    records {bytes} NOT NULL,
    PRIMARY KEY (organization_id, sha256)
);
CREATE INDEX revoked_sets_by_digest ON revoked_sets (sha256);

-- The latest list of each CA under an anchor. `issuer` is the SHA-256 of the CA's name and key, `sha256` that of the
-- list, `revoked` that of its set.
CREATE TABLE crls (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    issuer {bytes} NOT NULL,
    issuer_name TEXT NOT NULL,
    number TEXT,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    distribution_point {bytes},
    only_user_certificates BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    sha256 {bytes} NOT NULL,
    revoked {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    -- Where it is fetched from, if it is, how often in seconds, with whose certificates, and what came of it last.
    url TEXT,
    every BIGINT,
    issuer_certificates TEXT,
    etag TEXT,
    last_modified TEXT,
    due_at BIGINT,
    fetched_at BIGINT,
    last_error TEXT,
    UNIQUE (certificate_id, issuer)
);
CREATE INDEX crls_due ON crls (due_at);
CREATE INDEX crls_in_order ON crls (organization_id, created_at, seq);
