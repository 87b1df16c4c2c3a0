//! Which organizations changed lately: whoever waits for some of them need not ask the database about each
//! change of others.

use std::collections::VecDeque;

use countersign_types::{history::HistoryPoint, id::OrganizationId};

use super::{
    StoreError,
    connection::{Connection, Database},
    history,
    row::{FromRow, Row},
    value::params,
};

/// How many changes are known at most.
const MOST: usize = 10_000;

struct Changed {
    id: OrganizationId,
    revision: u64,
}

/// The organizations that changed after a revision, up to a point.
#[derive(Default)]
struct Known {
    after: u64,
    until: HistoryPoint,
    /// In the order of their revisions. An organization is in it once for each time that it was found.
    changed: VecDeque<Changed>,
    /// Counts how many histories there were.
    history: u64,
}

/// Up to where somebody has looked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    history: u64,
    revision: u64,
}

/// The organizations that changed lately.
#[derive(Default)]
pub(super) struct RecentChanges(tokio::sync::Mutex<Known>);

/// What changed after a point, as it is read.
pub(super) struct Since {
    /// A transaction at the latest point.
    pub(super) connection: Connection,
    pub(super) latest: HistoryPoint,
    /// Those of the organizations that were asked about which changed since, or all where that is not known.
    pub(super) changed: Vec<OrganizationId>,
    pub(super) seen: Seen,
}

impl RecentChanges {
    /// Which of some organizations, which are in order, changed after a point that is in the history; none if
    /// it is not.
    pub(super) async fn since(
        &self,
        database: &Database,
        point: HistoryPoint,
        of: &[OrganizationId],
    ) -> Result<Option<Since>, StoreError> {
        let mut known = self.0.lock().await;
        // Begun after the lock was taken: it is not older than what is known.
        let mut connection = database.snapshot().await?;
        let latest = known.read_on(&mut connection).await?;
        if point != latest && !history::contains(&mut connection, point).await? {
            return Ok(None);
        }
        let seen = Seen {
            history: known.history,
            revision: latest.revision,
        };
        let changed = if point.revision < known.after {
            of.to_vec()
        } else {
            let mut changed = Vec::new();
            changed.extend(known.of(of, point.revision).cloned());
            changed.sort_unstable();
            changed.dedup();
            changed
        };
        Ok(Some(Since {
            connection,
            latest,
            changed,
            seen,
        }))
    }

    /// Whether one of some organizations, which are in order, may have changed since somebody looked, who has
    /// seen everything by then. The database is asked only if this node knows of a change that is not known here.
    pub(super) async fn may_concern(
        &self,
        database: &Database,
        announced: HistoryPoint,
        of: &[OrganizationId],
        seen: &mut Seen,
    ) -> Result<bool, StoreError> {
        let mut known = self.0.lock().await;
        if known.until != announced {
            known.read_on(&mut database.snapshot().await?).await?;
        }
        if seen.history != known.history || seen.revision < known.after {
            return Ok(true);
        }
        let concerned = known.of(of, seen.revision).next().is_some();
        seen.revision = known.until.revision;
        Ok(concerned)
    }
}

impl Known {
    /// Reads what changed up to the latest point, which is returned.
    async fn read_on(&mut self, connection: &mut Connection) -> Result<HistoryPoint, StoreError> {
        let latest = history::read(connection).await?;
        if self.until == latest {
            return Ok(latest);
        }
        if history::contains(connection, self.until).await? {
            let more: Vec<Changed> = connection
                .query(
                    "SELECT id, revision FROM organizations WHERE revision > $1 ORDER BY revision",
                    params![self.until.revision],
                )
                .await?;
            self.changed.extend(more);
            let too_many = self.changed.len().saturating_sub(MOST);
            if let Some(last) = self.changed.drain(..too_many).next_back() {
                self.after = last.revision;
            }
        } else {
            *self = Self {
                after: latest.revision,
                history: self.history + 1,
                ..Self::default()
            };
        }
        self.until = latest;
        Ok(latest)
    }

    /// Those of some organizations that changed after a revision.
    fn of<'s>(
        &'s self,
        of: &'s [OrganizationId],
        revision: u64,
    ) -> impl Iterator<Item = &'s OrganizationId> {
        let first = self
            .changed
            .partition_point(|each| each.revision <= revision);
        let later = self.changed.range(first..).map(|each| &each.id);
        later.filter(|id| of.binary_search(id).is_ok())
    }
}

impl FromRow for Changed {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            revision: row.next()?,
        })
    }
}
