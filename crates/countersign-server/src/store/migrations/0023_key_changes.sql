-- The sum of an organization's keys, which its next write adds up where there is none, and which of them came or went with which revision, as far back as the history
-- reaches: gateways are sent what changed of the keys, and come to the same sum.
ALTER TABLE organizations ADD COLUMN keys_sum TEXT;
CREATE TABLE key_changes (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    revision BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (organization_id, revision, key_id)
) {clustered};
CREATE INDEX key_changes_by_revision ON key_changes (revision);
