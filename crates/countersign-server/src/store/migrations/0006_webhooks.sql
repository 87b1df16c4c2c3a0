-- How many webhooks an organization has: a write of one that has none does not look further.
ALTER TABLE organizations ADD COLUMN webhooks BIGINT NOT NULL DEFAULT 0;

CREATE TABLE webhooks (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    url TEXT NOT NULL,
    secret {bytes} NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_in_order ON webhooks (organization_id, created_at, seq);

-- The outbox. `due_at` is when to try next, and null once it is finished. A node moves it on
-- before it tries, so that no other node tries at the same time.
CREATE TABLE webhook_deliveries (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id),
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    attempted_at BIGINT,
    result TEXT
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, seq);
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook_id, created_at, seq);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
