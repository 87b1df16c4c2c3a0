-- How many requests a denial, the floor of an anchor or a revocation list refused on a day, or would have refused
-- while it was only reported. `by_id` is the id of the denial, the anchor or the list. Rows stay when what they
-- count is deleted, for as long as observations are kept: ids are not used again.
CREATE TABLE refused_by (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    by_id TEXT NOT NULL,
    enforcement TEXT NOT NULL,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (organization_id, by_id, enforcement, day)
) {clustered};
