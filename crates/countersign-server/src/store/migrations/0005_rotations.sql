-- One anchor replaces another. A certificate may be deleted meanwhile, so there is no foreign key.
CREATE TABLE rotations (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    old_certificate_id TEXT NOT NULL,
    new_certificate_id TEXT NOT NULL,
    enforcement TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX rotations_in_order ON rotations (organization_id, created_at, seq);

-- Where; the empty `project_id` is the organization. `new_before` is how the new anchor was active
-- there before, `new_set` how the rotation activated it; NULL is not.
CREATE TABLE rotation_scopes (
    rotation_id TEXT NOT NULL REFERENCES rotations (id),
    project_id TEXT NOT NULL,
    new_before TEXT,
    new_set TEXT,
    PRIMARY KEY (rotation_id, project_id)
);
