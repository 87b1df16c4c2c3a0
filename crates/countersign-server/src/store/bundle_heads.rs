//! The organizations that a key reaches, some at a time in the order of their ids.

use countersign_types::{bundle::OrganizationBundle, id::OrganizationId};

use super::{
    Reach, StoreError,
    bundle::{HEAD, Order, fill},
    bundle_keys::KeysRead,
    connection::Connection,
    value::params,
};

/// How many organizations are read at a time: in between, others are served.
const AT_A_TIME: usize = 32;

/// Where a list of organizations is.
pub(super) struct Heads<'r> {
    reach: &'r Reach,
    last: Option<OrganizationId>,
    over: bool,
    at_a_time: usize,
}

impl<'r> Heads<'r> {
    /// The organizations after this one, or all.
    pub(super) fn after(reach: &'r Reach, id: Option<&OrganizationId>) -> Self {
        Self {
            reach,
            last: id.cloned(),
            over: false,
            at_a_time: AT_A_TIME,
        }
    }

    /// The same, so many at a time.
    #[cfg(test)]
    pub(super) fn by(self, at_a_time: usize) -> Self {
        Self { at_a_time, ..self }
    }

    /// The next of them, without what belongs to them.
    pub(super) async fn next(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Vec<OrganizationBundle>, StoreError> {
        let last = self.last.as_ref().map_or("", OrganizationId::as_str);
        let (found, looked_for, last) = match self.reach {
            Reach::All => {
                let most = u64::try_from(self.at_a_time).unwrap_or(u64::MAX);
                let found: Vec<OrganizationBundle> = connection
                    .query(
                        &format!(
                            "SELECT {HEAD} FROM organizations WHERE id > $1 ORDER BY id LIMIT $2"
                        ),
                        params![last, most],
                    )
                    .await?;
                let (count, last) = (found.len(), found.last().map(|last| last.id.clone()));
                (found, count, last)
            }
            Reach::Only(ids) => {
                let rest = ids.iter().filter(|id| id.as_str() > last);
                let some: Vec<_> = rest.take(self.at_a_time).collect();
                let mut found = Vec::with_capacity(some.len());
                for id in &some {
                    let sql = format!("SELECT {HEAD} FROM organizations WHERE id = $1");
                    found.extend(connection.find(&sql, params![id]).await?);
                }
                (found, some.len(), some.last().map(|last| (*last).clone()))
            }
        };
        self.over = looked_for < self.at_a_time;
        self.last = last.or_else(|| self.last.take());
        Ok(found)
    }

    /// Reads what belongs to some that were found beside each other.
    pub(super) async fn fill(
        &self,
        connection: &mut Connection,
        some: &mut [OrganizationBundle],
    ) -> Result<(), StoreError> {
        match self.reach {
            Reach::All => fill(connection, some, Order::Ids, KeysRead::All).await,
            // Others stand between them.
            Reach::Only(_) => {
                for one in some.chunks_mut(1) {
                    fill(connection, one, Order::Ids, KeysRead::All).await?;
                }
                Ok(())
            }
        }
    }

    /// Where the rest begins, if there may be one.
    pub(super) fn rest(&self) -> Option<OrganizationId> {
        self.last.clone().filter(|_| !self.over)
    }
}
