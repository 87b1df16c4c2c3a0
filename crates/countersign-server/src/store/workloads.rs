//! Who calls with which certificates: a summary of the observations.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    error::ErrorCode,
    id::{CertificateId, OrganizationId},
    workload::ObservedWorkload,
};

use super::{
    Store, StoreError,
    day::DAY,
    row::{FromRow, Row},
    value::params,
};

/// How many rows are read at a time: SQLite is read inline, so others get their turn in between.
const AT_A_TIME: i64 = 1000;

/// A caller with one chain, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Who it is. Its key may be deleted meanwhile.
    pub identity: ObservedWorkload,
    /// Its requests, of whole UTC days.
    pub requests: u64,
    /// When it was first seen, as far as that is still kept, in Unix seconds.
    pub first_seen: UnixSeconds,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
    /// Why its latest request was refused; `None` when it was let through.
    pub code: Option<ErrorCode>,
    /// The anchor that its latest request verified under, if it did.
    pub anchor: Option<CertificateId>,
}

impl Store {
    /// The workloads of an organization that were seen on the UTC day of a time (Unix seconds) or
    /// later, with their requests since then, in the order in which they were first seen.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_workloads(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
    ) -> Result<Vec<Workload>, StoreError> {
        let first_day = since / DAY;
        let mut connection = self.inner.database.snapshot().await?;
        let mut workloads: Vec<Workload> = Vec::new();
        let mut indexes = HashMap::new();
        let mut after = 0;
        loop {
            let some: Vec<(u64, Workload)> = connection
                .query(
                    "SELECT o.seq, o.project_id, o.key_id, c.sha256, o.code, o.anchor_id, \
                     o.first_seen, (SELECT d.last_seen FROM observations d \
                     WHERE d.outcome = o.seq AND d.day = o.last_day), \
                     (SELECT CAST(coalesce(sum(d.requests), 0) AS BIGINT) \
                     FROM observations d WHERE d.outcome = o.seq AND d.day >= $2) \
                     FROM observed_outcomes o LEFT JOIN observed_chains c ON c.seq = o.chain \
                     WHERE o.organization_id = $1 AND o.last_day >= $2 AND o.seq > $3 \
                     ORDER BY o.seq LIMIT $4",
                    params![organization, first_day, after, AT_A_TIME,],
                )
                .await?;
            let Some((last, _)) = some.last() else {
                return Ok(workloads);
            };
            after = *last;
            for (_, outcome) in some {
                let identity = outcome.identity.clone();
                let index = *indexes.entry(identity).or_insert(workloads.len());
                match workloads.get_mut(index) {
                    Some(workload) => workload.add(outcome),
                    None => workloads.push(outcome),
                }
            }
            // Reading many rows takes long, and SQLite is read inline: let others run.
            tokio::task::yield_now().await;
        }
    }
}

impl Workload {
    /// Adds another outcome of the same caller and chain.
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.first_seen = self.first_seen.min(other.first_seen);
        if other.last_seen >= self.last_seen {
            self.last_seen = other.last_seen;
            (self.code, self.anchor) = (other.code, other.anchor);
        }
    }
}

/// One outcome, as a workload with no other outcome.
impl FromRow for Workload {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            identity: ObservedWorkload {
                project: row.next_unless_empty()?,
                key: row.next_unless_empty()?,
                chain: row.next()?,
            },
            code: ErrorCode::from_code(row.next()?),
            anchor: row.next_unless_empty()?,
            first_seen: row.next()?,
            last_seen: row.next()?,
            requests: row.next()?,
        })
    }
}
