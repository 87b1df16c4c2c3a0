-- Expiry warnings that were sent: one row for each thing and threshold, so that one node sends
-- each once. A thing is the id of an anchor, or the number under which a leaf is kept.
CREATE TABLE expiry_notices (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    thing TEXT NOT NULL,
    days BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, thing, days)
);
CREATE INDEX expiry_notices_by_expiry ON expiry_notices (expires_at);
CREATE INDEX observed_chains_by_expiry ON observed_chains (not_after);

-- When a scope last refused a request; the empty project is a key without one.
CREATE TABLE refused_scopes (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    last_refused_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, project_id)
);
