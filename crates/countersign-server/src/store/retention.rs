//! Deletes observations that are older than they are kept. Any node may do it, and several at once:
//! each deletes what the others have not.

use super::{
    Store, StoreError,
    day::{DAY, first_day},
    value::params,
};

/// How many days observations are kept by default.
pub const OBSERVATION_DAYS: u32 = 90;
/// The most rows of one transaction, so that nobody waits long for it.
const AT_A_TIME: i64 = 500;

impl Store {
    /// Deletes the observations before the days that are kept, today included, and the chains that
    /// no observation refers to any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then some is left for the next time.
    pub async fn forget_observations(&self, keep_days: u32) -> Result<(), StoreError> {
        let first_day = first_day(self.inner.sources.now(), keep_days);
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_outcomes WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &[
                "DELETE FROM observations WHERE outcome > $1 AND outcome <= $2 AND day < $3",
                "DELETE FROM observed_outcomes WHERE seq > $1 AND seq <= $2 AND last_day < $3",
            ],
            first_day,
        )
        .await?;
        // A chain is kept as long as the latest observation of it, a certificate as long as the
        // latest chain with it: so observations go first, then chains, then certificates.
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_chains WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &["DELETE FROM observed_chains WHERE seq > $1 AND seq <= $2 AND last_day < $3"],
            first_day,
        )
        .await?;
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_certificates WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &["DELETE FROM observed_certificates WHERE seq > $1 AND seq <= $2 AND last_day < $3"],
            first_day,
        )
        .await?;
        self.remove_counts(first_day).await
    }

    /// Removes old rows in the order in which they were inserted, some at a time: `next` finds the
    /// last row of the next ones, and the statements delete up to it.
    async fn remove(
        &self,
        next: &str,
        statements: &[&str],
        first_day: u64,
    ) -> Result<(), StoreError> {
        let mut after: u64 = 0;
        loop {
            let mut connection = self.inner.database.transaction().await?;
            let upto = connection.number(next, params![after, AT_A_TIME]).await?;
            if upto == 0 {
                return Ok(());
            }
            for statement in statements {
                connection
                    .execute(statement, params![after, upto, first_day])
                    .await?;
            }
            connection.commit("COMMIT", || ()).await?;
            after = upto;
        }
    }

    async fn remove_counts(&self, first_day: u64) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "DELETE FROM anchor_requests WHERE day < $1",
                params![first_day],
            )
            .await?;
        connection
            .execute("DELETE FROM refused_by WHERE day < $1", params![first_day])
            .await?;
        connection
            .execute(
                "DELETE FROM refusals WHERE last_seen < $1",
                params![first_day * DAY],
            )
            .await?;
        // A gateway that was silent for so long has no batch left to send again.
        connection
            .execute(
                "DELETE FROM observation_batches WHERE seen_at < $1",
                params![first_day * DAY],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }
}
