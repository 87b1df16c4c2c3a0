-- Keys that tokens of workloads are signed with: a key signs from `signs_at` on, once every gateway has it,
-- and is good for nothing any more at `expires_at`, which is set when another takes its place.
CREATE TABLE token_keys (
    seq {sequence},
    id TEXT NOT NULL UNIQUE,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    public_key {bytes} NOT NULL,
    seed {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    signs_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX token_keys_in_order ON token_keys (organization_id, created_at, seq);
