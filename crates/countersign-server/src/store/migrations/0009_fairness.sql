-- How often in a row a webhook's receiver failed, and until when it is not tried therefore (0: it
-- is). Deliveries are found webhook by webhook, so that those of one do not hide another's.
ALTER TABLE webhooks ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN paused_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook_id, due_at, seq)
    WHERE due_at IS NOT NULL;
-- Service accounts are counted by organization.
CREATE INDEX service_accounts_of_organization ON service_accounts (organization_id);
