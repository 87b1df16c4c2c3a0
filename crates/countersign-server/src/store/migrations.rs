//! The schema, as an ordered list of steps. A step that was released is never changed.

mod audit_chain;

use super::{
    StoreError,
    connection::{Connection, Database},
    history, schema,
    sources::Sources,
    value::params,
};

/// `{sequence}`, `{bytes}` and `{clustered}` are spelled by the dialect. A step's number is its
/// place, from 1.
const STEPS: &[Step] = &[
    Step::Text(include_str!("migrations/0001_first.sql")),
    Step::Text(include_str!("migrations/0002_enforcement.sql")),
    Step::AuditChain(include_str!("migrations/0003_audit_chain.sql")),
    Step::Text(include_str!("migrations/0004_observations.sql")),
    Step::Text(include_str!("migrations/0005_rotations.sql")),
    Step::Text(include_str!("migrations/0006_webhooks.sql")),
    Step::Text(include_str!("migrations/0007_expiry.sql")),
    Step::History(include_str!("migrations/0008_history.sql")),
    Step::Text(include_str!("migrations/0009_fairness.sql")),
    Step::Text(include_str!("migrations/0010_unverified_chains.sql")),
    Step::Text(include_str!("migrations/0011_refusals.sql")),
    Step::Text(include_str!("migrations/0012_workload_pages.sql")),
    Step::Text(include_str!("migrations/0013_assertions.sql")),
    Step::Text(include_str!("migrations/0014_reported_policy.sql")),
    Step::Text(include_str!("migrations/0015_gateway_key_uses.sql")),
    Step::Text(include_str!(
        "migrations/0016_gateway_key_organizations.sql"
    )),
    Step::Text(include_str!("migrations/0017_workload_identity.sql")),
    Step::Text(include_str!("migrations/0018_former_key_organizations.sql")),
    Step::Text(include_str!("migrations/0019_token_keys.sql")),
    Step::Text(include_str!("migrations/0020_receipt_keys.sql")),
    Step::Text(include_str!("migrations/0021_denials.sql")),
    Step::Text(include_str!("migrations/0022_crls.sql")),
    Step::NewHistory(include_str!("migrations/0023_key_changes.sql")),
    Step::Text(include_str!("migrations/0024_refused_by.sql")),
    Step::Text(include_str!("migrations/0025_live_streams.sql")),
    Step::Text(include_str!("migrations/0026_capabilities.sql")),
    Step::Text(include_str!("migrations/0027_receipt_keys_withdrawn.sql")),
];

/// The first schema version with the deployment's history, and chains of audit events.
pub(super) const WITH_HISTORY: i64 = 8;

/// SQL, and what must be done after it that SQL cannot do.
enum Step {
    Text(&'static str),
    /// Then each organization's events are chained.
    AuditChain(&'static str),
    /// Then the latest revision gets a token.
    History(&'static str),
    /// Then the history begins anew.
    NewHistory(&'static str),
}

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
     (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)";

/// Brings the schema up to date. Whoever comes second waits, and finds it done.
pub(super) async fn apply(database: &Database, sources: &Sources) -> Result<(), StoreError> {
    apply_steps(database, sources, STEPS).await
}

async fn apply_steps(
    database: &Database,
    sources: &Sources,
    steps: &[Step],
) -> Result<(), StoreError> {
    let dialect = database.dialect();
    let mut connection = database.transaction().await?;
    connection.batch(dialect.lock_schema()).await?;
    connection.batch(LEDGER).await?;
    let found = version(&mut connection).await?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        // Other nodes may be at work: whoever writes is waited for, and finds the new version afterwards.
        connection.batch(dialect.lock_writes()).await?;
    }
    for (version, step) in (1_i64..).zip(steps).filter(|(version, _)| *version > found) {
        let (Step::Text(text)
        | Step::AuditChain(text)
        | Step::History(text)
        | Step::NewHistory(text)) = step;
        connection.batch(&dialect.spell(text)).await?;
        match step {
            Step::Text(_) => {}
            Step::AuditChain(_) => audit_chain::chain_events(&mut connection).await?,
            Step::History(_) => history::begin(&mut connection, sources).await?,
            Step::NewHistory(_) => history::begin_anew(&mut connection, sources).await?,
        }
        connection
            .execute(
                "INSERT INTO schema_migrations (version, applied_at) VALUES ($1, $2)",
                params![version, sources.now()],
            )
            .await?;
    }
    connection.commit("COMMIT", || ()).await
}

/// The schema version of a database as it is; 0 when it has none yet.
pub(super) async fn look_at(database: &Database) -> Result<i64, StoreError> {
    // A transaction that writes nothing shows whether one could.
    let mut connection = database.transaction().await?;
    let found = match version(&mut connection).await {
        // There is no ledger.
        Err(StoreError::Internal(_)) => 0,
        read => read?,
    };
    schema::check(found)?;
    Ok(found)
}

async fn version(connection: &mut Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let found = connection.find(sql, &[]).await?;
    Ok(found.unwrap_or(0))
}

#[cfg(test)]
mod tests;
