-- Refused requests, summed up by caller, leaf and code. What is empty is not there, or is several: no
-- project, no key, no leaf. `store/refusals.rs` bounds how many rows an organization has.
CREATE TABLE refusals (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    code TEXT NOT NULL,
    leaf TEXT NOT NULL,
    subject TEXT NOT NULL,
    requests BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (organization_id, project_id, key_id, code, leaf)
);
CREATE INDEX refusals_in_order ON refusals (organization_id, seq);
