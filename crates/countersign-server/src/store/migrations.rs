//! The schema, as an ordered list of steps. A step that was released is never changed.

use super::{
    StoreError,
    connection::{Connection, Database},
    value::Value,
};

/// `{sequence}` and `{bytes}` are spelled by the dialect. A step's number is its place, from 1.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_enforcement.sql"),
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
     (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)";

/// Brings the schema up to date. Whoever comes second waits, and finds it done.
pub(super) async fn apply(database: &Database, now: u64) -> Result<(), StoreError> {
    let dialect = database.dialect();
    let mut connection = database.transaction().await?;
    connection.batch(dialect.lock_schema()).await?;
    connection.batch(LEDGER).await?;
    let found = version(&mut connection).await?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    for (version, step) in (1_i64..).zip(STEPS).filter(|(version, _)| *version > found) {
        connection.batch(&dialect.spell(step)).await?;
        connection
            .execute(
                "INSERT INTO schema_migrations (version, applied_at) VALUES ($1, $2)",
                &[Value::Int(version), Value::moment(now)],
            )
            .await?;
    }
    connection.commit("COMMIT", || ()).await
}

async fn version(connection: &mut Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let found = connection.find(sql, &[], |row| row.int(0)).await?;
    Ok(found.unwrap_or(0))
}
