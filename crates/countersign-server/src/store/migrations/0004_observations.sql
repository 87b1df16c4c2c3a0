-- What gateways saw. A day is counted in days since 1970 (UTC).

-- The latest batch of each gateway process: one that is not newer was applied already.
CREATE TABLE observation_batches (
    gateway_id TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX observation_batches_by_seen_at ON observation_batches (seen_at);

-- Presented certificates, leaves and others.
CREATE TABLE observed_certificates (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    sha256 {bytes} NOT NULL,
    der {bytes} NOT NULL,
    last_day BIGINT NOT NULL,
    UNIQUE (organization_id, sha256)
);

-- Presented chains. `intermediates` are digests, one after another; `leaf` is the `seq` of the
-- first certificate. What a leaf says is empty where it cannot be read.
CREATE TABLE observed_chains (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    sha256 {bytes} NOT NULL,
    leaf BIGINT NOT NULL,
    intermediates {bytes} NOT NULL,
    subject TEXT NOT NULL,
    names TEXT NOT NULL,
    issuer TEXT NOT NULL,
    authority_key {bytes},
    not_after BIGINT,
    last_day BIGINT NOT NULL,
    UNIQUE (organization_id, sha256)
);
CREATE INDEX observed_chains_in_order ON observed_chains (organization_id, seq);

-- Who called, with which chain (0: none), and what became of it. What is empty is not there: no
-- key, no refusal (`code`), no anchor. `anchor_project` is empty for an anchor of the organization.
CREATE TABLE observed_outcomes (
    seq {sequence},
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    project_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    chain BIGINT NOT NULL,
    leaf BIGINT NOT NULL,
    code TEXT NOT NULL,
    anchor_id TEXT NOT NULL,
    anchor_project TEXT NOT NULL,
    reported TEXT NOT NULL,
    reported_anchor_id TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_day BIGINT NOT NULL,
    UNIQUE (organization_id, project_id, key_id, chain, code, anchor_id, anchor_project,
            reported, reported_anchor_id)
);
CREATE INDEX observed_outcomes_in_order ON observed_outcomes (organization_id, seq);
CREATE INDEX observed_outcomes_by_anchor
    ON observed_outcomes (anchor_id, anchor_project, last_day, leaf)
    WHERE anchor_id <> '' AND code = '';
CREATE INDEX observed_outcomes_of_anchor ON observed_outcomes (anchor_id, seq)
    WHERE anchor_id <> '' AND code = '';

-- How many requests had an outcome on a day. What moves with every batch stands here, where no
-- index has it: PostgreSQL then rewrites the row in its place.
CREATE TABLE observations (
    outcome BIGINT NOT NULL,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (outcome, day)
) {clustered};

-- How many requests an anchor let through on a day, by where it was active.
CREATE TABLE anchor_requests (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    anchor_id TEXT NOT NULL,
    anchor_project TEXT NOT NULL,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (organization_id, anchor_id, anchor_project, day)
) {clustered};
