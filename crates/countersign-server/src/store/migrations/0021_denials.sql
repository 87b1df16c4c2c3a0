-- How many denials an organization has: who reads an organization's trust reads no further where there are none.
ALTER TABLE organizations ADD COLUMN denials BIGINT NOT NULL DEFAULT 0;

-- What is refused although it verifies; the empty `project_id` is the organization. `matches` is what it
-- refuses, in JSON and in the form that is compared.
CREATE TABLE denials (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT,
    matches TEXT NOT NULL,
    enforcement TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX denials_in_order ON denials (organization_id, created_at, seq);

-- A leaf that was issued before the floor is refused; what is only reported stands beside it. Who set a floor,
-- and when.
ALTER TABLE certificates ADD COLUMN floor BIGINT;
ALTER TABLE certificates ADD COLUMN floor_set_by TEXT;
ALTER TABLE certificates ADD COLUMN floor_set_at BIGINT;
ALTER TABLE certificates ADD COLUMN reported_floor BIGINT;
ALTER TABLE certificates ADD COLUMN reported_floor_set_by TEXT;
ALTER TABLE certificates ADD COLUMN reported_floor_set_at BIGINT;
