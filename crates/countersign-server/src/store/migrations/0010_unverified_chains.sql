-- A chain that verified under no anchor counts against a scope (a project, or empty for callers
-- without one), and has its certificates in its own row, if they are kept: the length in four
-- bytes and the DER, one after another. Its `leaf` is 0.
ALTER TABLE observed_chains ADD COLUMN unverified_at TEXT;
ALTER TABLE observed_chains ADD COLUMN presented {bytes};
ALTER TABLE observed_chains ADD COLUMN presented_bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX observed_chains_unverified ON observed_chains (organization_id, unverified_at, seq)
    WHERE unverified_at IS NOT NULL;
CREATE INDEX observed_chains_by_leaf ON observed_chains (leaf) WHERE leaf > 0;
CREATE INDEX observed_outcomes_by_chain ON observed_outcomes (chain) WHERE chain > 0;
