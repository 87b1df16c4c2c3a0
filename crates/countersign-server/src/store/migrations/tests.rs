mod rows;
mod upgrade;

use countersign_types::{certificate::Scope, id::OrganizationId, page::MAX_LIMIT};
use countersign_verify::audit_chain::{ChainWalk, KeptHead};
use tokio_postgres::NoTls;

use super::*;
use crate::store::{AuditFilter, AuditPage, Location, Sources, Store, connection::Database};

/// What a version before the chain wrote: events of two organizations, in turn, more than a batch.
fn old_events() -> String {
    let mut sql = String::new();
    for name in ["a", "b"] {
        sql += &format!(
            "INSERT INTO organizations (id, name, created_at, revision, clock) \
             VALUES ('org-{name}', '{name}', 1, 1, 1);"
        );
    }
    for number in 0..1200_u64 {
        let organization = ["org-a", "org-b"][usize::from(number % 3 == 0)];
        let (at, actor) = (
            number / 7,
            ["operator", "key_x"][usize::from(number % 2 == 0)],
        );
        sql += &format!(
            "INSERT INTO audit_logs (id, organization_id, effective_at, event_type, project_id, \
             project_name, actor_id, details) VALUES ('audit_log-{number}', '{organization}', {at}, \
             'project.created', 'proj_{number}', 'Naïve', '{actor}', '{{\"id\":\"proj_{number}\"}}');"
        );
    }
    sql
}

async fn old_events_are_chained(location: &Location) {
    let database = Database::open(location).unwrap();
    apply_steps(&database, &Sources::system(), &STEPS[..1])
        .await
        .unwrap();
    let mut connection = database.transaction().await.unwrap();
    connection.batch(&old_events()).await.unwrap();
    connection.commit("COMMIT", || ()).await.unwrap();
    drop(database);
    let store = Store::open(location, Sources::system()).await.unwrap();
    for (organization, count) in [("org-a", 800), ("org-b", 400)] {
        let organization = organization.parse().unwrap();
        is_whole(&store, &organization, count).await;
        let head = store.retrieve_audit_head(&organization).await.unwrap();
        assert_eq!(head.effective_at, 171);
    }
}

/// The organization's audit log is a whole chain of so many events.
async fn is_whole(store: &Store, organization: &OrganizationId, count: u64) {
    let head = store.retrieve_audit_head(organization).await.unwrap();
    assert_eq!(head.number, count);
    let mut walk = ChainWalk::new(vec![KeptHead {
        number: Some(count),
        sha256: head.sha256.to_string(),
    }]);
    let mut page = AuditPage {
        limit: MAX_LIMIT,
        ..AuditPage::default()
    };
    loop {
        let filter = AuditFilter::default();
        let listed = store.list_audit_logs(organization, &filter, &page).await;
        let listed = listed.unwrap();
        for event in &listed.data {
            walk.step(serde_json::to_value(event).unwrap().as_object().unwrap());
        }
        if !listed.has_more {
            break;
        }
        page.after = listed.last_id;
    }
    assert_eq!(walk.events(), count);
    assert_eq!(walk.finish(1), []);
}

#[test]
fn the_version_is_that_of_the_last_step() {
    assert_eq!(i64::try_from(STEPS.len()), Ok(schema::KNOWN));
}

#[tokio::test]
async fn old_events_are_chained_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    old_events_are_chained(&Location::Sqlite(directory.path().join("store.db"))).await;
}

#[tokio::test]
async fn old_events_are_chained_on_postgresql() {
    on_postgresql(async |location| old_events_are_chained(location).await).await;
}

/// Runs a test in a database of its own, if there is a server.
async fn on_postgresql(test: impl AsyncFn(&Location)) {
    let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES_URL") else {
        return;
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut bytes = [0; 8];
    (Sources::system().random)(&mut bytes).unwrap();
    let name = format!("countersign_migration_{:016x}", u64::from_le_bytes(bytes));
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let own = url.replacen("/postgres?", &format!("/{name}?"), 1);
    test(&Location::postgres(own)).await;
    client
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
