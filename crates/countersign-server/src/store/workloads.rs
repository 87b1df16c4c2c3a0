//! Who calls with which certificates: a summary of the observations, read a page at a time, since
//! anyone with a key can make an organization have many.

use std::str::FromStr;

use countersign_types::{
    UnixSeconds,
    error::ErrorCode,
    id::{CertificateId, InvalidId, OrganizationId},
    workload::ObservedWorkload,
};

use super::{
    Store, StoreError,
    day::DAY,
    row::{FromRow, Row},
    value::params,
};

/// The most workloads of a page.
pub const WORKLOADS_OF_A_PAGE: usize = 100;
/// How many outcomes are read for a page: one workload may have been left over by the page before.
const OUTCOMES_OF_A_PAGE: usize = WORKLOADS_OF_A_PAGE - 1;

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

/// Some workloads of an organization, at most [`WORKLOADS_OF_A_PAGE`].
#[derive(Debug, Default)]
pub struct WorkloadPage {
    /// The workloads: those of one chain stand together, over the pages too.
    pub workloads: Vec<Workload>,
    /// The rows of the first chain that they present and of the last.
    pub(super) chains: Option<(u64, u64)>,
    /// The first day that is counted.
    pub(super) first_day: u64,
}

/// The workloads of an organization, page by page. Each page is read in a transaction of its own, so
/// that nothing waits while a page is judged: a chain that is stored anew meanwhile may come twice.
///
/// This holds one workload between pages, whatever their number.
pub struct Workloads {
    store: Store,
    organization: OrganizationId,
    first_day: u64,
    after: Place,
    /// The last workload that was read: more of its outcomes may follow.
    open: Option<Outcome>,
    ended: bool,
}

/// Where an outcome stands in the order of reading: its chain, project, key and own number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    chain: u64,
    project: String,
    key: String,
    seq: u64,
}

impl Place {
    /// Whether the outcomes are of one workload.
    fn is_of(&self, other: &Self) -> bool {
        (self.chain, &self.project, &self.key) == (other.chain, &other.project, &other.key)
    }
}

/// One outcome, as a workload with no other outcome.
struct Outcome {
    place: Place,
    workload: Workload,
}

impl Store {
    /// The workloads of an organization that were seen on the UTC day of a time (Unix seconds) or
    /// later, with their requests since then.
    #[must_use]
    pub fn workloads(&self, organization: &OrganizationId, since: UnixSeconds) -> Workloads {
        Workloads {
            store: self.clone(),
            organization: organization.clone(),
            first_day: since / DAY,
            after: Place::default(),
            open: None,
            ended: false,
        }
    }
}

impl Workloads {
    /// The next page, which may be empty; `None` after the last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn next(&mut self) -> Result<Option<WorkloadPage>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let outcomes = self.outcomes().await?;
        self.ended = outcomes.len() < OUTCOMES_OF_A_PAGE;
        if let Some(last) = outcomes.last() {
            self.after = last.place.clone();
        }
        let mut page = WorkloadPage {
            first_day: self.first_day,
            ..WorkloadPage::default()
        };
        for outcome in outcomes {
            match &mut self.open {
                Some(open) if open.place.is_of(&outcome.place) => {
                    open.workload.add(outcome.workload)
                }
                open => page.extend(open.replace(outcome)),
            }
        }
        if self.ended {
            page.extend(self.open.take());
        }
        Ok(Some(page))
    }

    async fn outcomes(&self) -> Result<Vec<Outcome>, StoreError> {
        let Place {
            chain,
            project,
            key,
            seq,
        } = &self.after;
        let limit = u64::try_from(OUTCOMES_OF_A_PAGE).unwrap_or(u64::MAX);
        let mut connection = self.store.reader().await?;
        connection
            .query(
                "SELECT o.chain, o.project_id, o.key_id, o.seq, c.sha256, o.code, o.anchor_id, \
                 o.first_seen, (SELECT d.last_seen FROM observations d \
                 WHERE d.outcome = o.seq AND d.day = o.last_day), \
                 (SELECT CAST(coalesce(sum(d.requests), 0) AS BIGINT) \
                 FROM observations d WHERE d.outcome = o.seq AND d.day >= $2) \
                 FROM observed_outcomes o LEFT JOIN observed_chains c ON c.seq = o.chain \
                 WHERE o.organization_id = $1 AND o.last_day >= $2 \
                 AND (o.chain, o.project_id, o.key_id, o.seq) > ($3, $4, $5, $6) \
                 ORDER BY o.chain, o.project_id, o.key_id, o.seq LIMIT $7",
                params![
                    self.organization,
                    self.first_day,
                    chain,
                    project,
                    key,
                    seq,
                    limit
                ],
            )
            .await
    }
}

impl WorkloadPage {
    fn extend(&mut self, read: Option<Outcome>) {
        let Some(Outcome { place, workload }) = read else {
            return;
        };
        if place.chain > 0 {
            let (first, _) = self.chains.unwrap_or((place.chain, place.chain));
            self.chains = Some((first, place.chain));
        }
        self.workloads.push(workload);
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

impl FromRow for Outcome {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let place = Place {
            chain: row.next()?,
            project: row.next()?,
            key: row.next()?,
            seq: row.next()?,
        };
        let identity = ObservedWorkload {
            project: id(&place.project)?,
            key: id(&place.key)?,
            chain: row.next()?,
        };
        let workload = Workload {
            identity,
            code: ErrorCode::from_code(row.next()?),
            anchor: row.next_unless_empty()?,
            first_seen: row.next()?,
            last_seen: row.next()?,
            requests: row.next()?,
        };
        Ok(Self { place, workload })
    }
}

/// An id, where the empty text stands for none.
fn id<T: FromStr<Err = InvalidId>>(text: &str) -> Result<Option<T>, StoreError> {
    let some = Some(text).filter(|text| !text.is_empty());
    let read = some.map(str::parse).transpose();
    read.map_err(|error: InvalidId| StoreError::Corrupt(error.to_string()))
}
