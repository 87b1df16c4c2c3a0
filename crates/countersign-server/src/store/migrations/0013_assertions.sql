-- How many assertions an organization has: a write of one that has none does not look further.
ALTER TABLE organizations ADD COLUMN assertions BIGINT NOT NULL DEFAULT 0;

-- What must pass and what must be refused at a scope; the empty `project_id` is the organization.
-- `chain` is its certificates, leaf first: the length in four bytes and the DER, one after another.
CREATE TABLE assertions (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT,
    expect TEXT NOT NULL,
    code TEXT,
    chain {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);
CREATE INDEX assertions_in_order ON assertions (organization_id, created_at, seq);
CREATE INDEX assertions_of_project ON assertions (organization_id, project_id);
