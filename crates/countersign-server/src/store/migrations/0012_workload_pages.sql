-- Workloads are read page by page, chain by chain; the outcomes of one chain are found by it too.
DROP INDEX observed_outcomes_by_chain;
CREATE INDEX observed_outcomes_by_workload
    ON observed_outcomes (organization_id, chain, project_id, key_id, seq);
