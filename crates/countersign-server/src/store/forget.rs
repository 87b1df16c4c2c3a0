//! Forgetting what was observed once it is older than it is kept. Any node may, and several at
//! once: each removes what the others have not.

use super::{
    Store, StoreError,
    observations::{DAY, first_day},
    value::Value,
};

/// How many rows are looked at in one transaction, so that nobody waits long for it.
const AT_A_TIME: i64 = 500;

impl Store {
    /// Removes what was observed before the days that are kept, today included, and the chains
    /// that nothing names any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then some is left for the next time.
    pub async fn forget_observations(&self, keep_days: u32) -> Result<(), StoreError> {
        let first_day = first_day(self.inner.sources.now(), keep_days);
        let (day, moment) = (Value::moment(first_day), Value::moment(first_day * DAY));
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_outcomes WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &[
                (
                    "DELETE FROM observations WHERE outcome > $1 AND outcome <= $2 AND day < $3",
                    day,
                ),
                (
                    "DELETE FROM observed_outcomes WHERE seq > $1 AND seq <= $2 AND last_day < $3",
                    day,
                ),
            ],
        )
        .await?;
        // A chain is kept as long as the latest row that named it, a certificate as long as the
        // latest chain: so rows go first, then chains, then certificates.
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_chains WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &[(
                "DELETE FROM observed_chains WHERE seq > $1 AND seq <= $2 AND last_day < $3",
                day,
            )],
        )
        .await?;
        self.remove(
            "SELECT coalesce(max(seq), 0) FROM \
             (SELECT seq FROM observed_certificates WHERE seq > $1 ORDER BY seq LIMIT $2) AS next",
            &[(
                "DELETE FROM observed_certificates WHERE seq > $1 AND seq <= $2 AND last_day < $3",
                day,
            )],
        )
        .await?;
        self.remove_counts(day, moment).await
    }

    /// Removes rows in the order in which they were made, some at a time.
    async fn remove(&self, next: &str, statements: &[(&str, Value<'_>)]) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let mut connection = self.inner.database.transaction().await?;
            let from = [Value::moment(after), Value::Int(AT_A_TIME)];
            let upto = connection.number(next, &from).await?;
            if upto == 0 {
                return Ok(());
            }
            for (statement, bound) in statements {
                let values = [Value::moment(after), Value::moment(upto), *bound];
                connection.execute(statement, &values).await?;
            }
            connection.commit("COMMIT", || ()).await?;
            after = upto;
        }
    }

    async fn remove_counts(&self, day: Value<'_>, moment: Value<'_>) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute("DELETE FROM anchor_requests WHERE day < $1", &[day])
            .await?;
        // A gateway that has been silent for so long has nothing left to send again.
        connection
            .execute(
                "DELETE FROM observation_batches WHERE seen_at < $1",
                &[moment],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }
}
