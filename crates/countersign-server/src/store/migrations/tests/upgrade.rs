//! From each older version of the schema, with rows in every table, to the last.

use std::collections::BTreeMap;

use countersign_types::{
    audit::Actor,
    digest::{KeyDigest, Sha256},
    history::HistoryPoint,
    id::{CertificateId, OrganizationId, ProjectId},
};

use super::{
    rows::{AT, Chain},
    *,
};
use crate::store::{GatewayFilter, NewProject, PageRequest, dialect::Dialect};

/// How many rows each table has.
async fn counts(database: &Database) -> BTreeMap<String, u64> {
    let tables = match database.dialect() {
        Dialect::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        }
        Dialect::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
        }
    };
    let mut connection = database.reader().await.unwrap();
    let names: Vec<String> = connection.query(tables, &[]).await.unwrap();
    let mut counts = BTreeMap::new();
    for name in names {
        let sql = format!("SELECT count(*) FROM {name}");
        let count = connection.number(&sql, &[]).await.unwrap();
        counts.insert(name, count);
    }
    counts
}

/// Makes a database of an older version, as programs of the versions before it filled it.
async fn make(location: &Location, version: usize, chain: &Chain) -> BTreeMap<String, u64> {
    let database = Database::open(location).unwrap();
    for step in 1..=version {
        apply_steps(&database, &Sources::system(), &STEPS[..step])
            .await
            .unwrap();
        let mut connection = database.transaction().await.unwrap();
        let rows = chain.rows_of_step(step, database.dialect());
        connection.batch(&rows).await.unwrap();
        connection.commit("COMMIT", || ()).await.unwrap();
    }
    let counts = counts(&database).await;
    let empty: Vec<_> = counts.iter().filter(|(_, count)| **count == 0).collect();
    assert!(empty.is_empty(), "at version {version}: {empty:?}");
    counts
}

/// What programs read is there, in every list.
async fn is_read(store: &Store, version: usize) {
    let (organization, project): (OrganizationId, ProjectId) =
        ("org-a".parse().unwrap(), "proj_a".parse().unwrap());
    let page = PageRequest::default();
    let scope = Scope::Project(project.clone());
    let certificates = store.list_certificates(&organization, &Scope::Organization, &page);
    assert_eq!(certificates.await.unwrap().data.len(), 2);
    let active = store.list_certificates(&organization, &scope, &page).await;
    let active = active.unwrap().data.into_iter().filter(|each| each.active);
    assert_eq!(active.count(), 1);
    let accounts = store.list_service_accounts(&organization, &project, &page);
    assert_eq!(accounts.await.unwrap().data.len(), 1);
    let keys = store.list_project_api_keys(&organization, &project, &page);
    assert_eq!(keys.await.unwrap().data.len(), 1);
    for digest in [0xa, 0xb, 0xc] {
        let caller = store
            .caller(KeyDigest::new(Sha256::new([digest; 32])))
            .await;
        assert!(caller.unwrap().is_some());
    }
    let everyone = GatewayFilter {
        kept_since: 0,
        live_since: 0,
    };
    let gateways = store.list_gateways(everyone).await.unwrap();
    assert_eq!(gateways.gateways.len(), 1);
    let bundle = store.bundle(HistoryPoint::START).await.unwrap();
    assert_eq!(bundle.organizations.len(), 1);
    is_read_since(store, version).await;
}

/// The same of what later versions added.
async fn is_read_since(store: &Store, version: usize) {
    let organization: OrganizationId = "org-a".parse().unwrap();
    let page = PageRequest::default();
    let since = |step: usize| usize::from(version >= step);
    let rotations = store.list_rotations(&organization, &page).await.unwrap();
    assert_eq!(rotations.data.len(), since(5));
    let webhooks = store.list_webhooks(&organization, &page).await.unwrap();
    assert_eq!(webhooks.data.len(), since(6));
    let refusals = store.list_refusals(&organization, &page).await.unwrap();
    assert_eq!(refusals.data.len(), since(11));
    let assertions = store.list_assertions(&organization, &page).await.unwrap();
    assert_eq!(assertions.data.len(), since(13));
    let providers = store.list_workload_identity_providers(&organization, &page);
    let providers = providers.await.unwrap().data;
    assert_eq!(providers.len(), since(17));
    for provider in providers {
        let rules = store.list_federation_rules(&organization, &provider.id, None, &page);
        assert_eq!(rules.await.unwrap().data.len(), 1);
    }
    let token_keys = store.list_token_keys(&organization, &page).await;
    assert_eq!(token_keys.unwrap().data.len(), since(19));
    let receipt_keys = store.list_receipt_keys(&organization, &page).await;
    assert_eq!(receipt_keys.unwrap().data.len(), since(20));
    let denials = store.list_denials(&organization, &page).await.unwrap();
    assert_eq!(denials.data.len(), since(21));
    let anchor: CertificateId = "cert_a".parse().unwrap();
    let crls = store.list_crls(&organization, &anchor, &page).await;
    assert_eq!(crls.unwrap().data.len(), since(22));
    let uses = store.list_certificate_uses(&organization, &anchor, &page);
    assert_eq!(uses.await.unwrap().data.len(), since(4));
    let mut workloads = store.workloads(&organization, AT);
    let mut found = 0;
    while let Some(page) = workloads.next().await.unwrap() {
        found += page.workloads.len();
    }
    assert_eq!(found, since(4));
}

async fn upgrades(location: &Location, version: usize) {
    let mut before = make(location, version, &Chain::new()).await;
    let store = Store::open(location, Sources::system()).await.unwrap();
    let after = counts(&store.inner.database).await;
    before.remove("schema_migrations");
    for (table, count) in &before {
        assert_eq!(after.get(table), Some(count), "{table} from {version}");
    }
    is_read(&store, version).await;
    let organization = "org-a".parse().unwrap();
    let mut write = store.write(&organization, Actor::Operator).await.unwrap();
    let new = NewProject {
        name: "new".to_owned(),
        residency: None,
        external_key_id: None,
    };
    let change = write.create_project(new).await.unwrap();
    let point = write.commit(change.events).await.unwrap();
    assert_eq!(point.revision, 3);
    // The events from before, and the new one.
    is_whole(&store, &organization, 3).await;
}

#[tokio::test]
async fn every_version_with_rows_in_every_table_is_brought_up_to_date_on_sqlite() {
    for version in 1..STEPS.len() {
        let directory = tempfile::tempdir().unwrap();
        upgrades(
            &Location::Sqlite(directory.path().join("store.db")),
            version,
        )
        .await;
    }
}

#[tokio::test]
async fn every_version_with_rows_in_every_table_is_brought_up_to_date_on_postgresql() {
    for version in 1..STEPS.len() {
        on_postgresql(async |location| upgrades(location, version).await).await;
    }
}
