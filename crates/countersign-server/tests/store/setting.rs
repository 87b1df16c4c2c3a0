//! Where a test runs: a database of its own, on each kind of database.

use std::{
    env,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_server::store::{
    Change, Location, NewCertificate, NewProject, Sources, Store, StoreError, WriteTx,
};
use countersign_types::{
    audit::Actor,
    certificate::{Certificate, Enforcement, Scope},
    digest::Sha256,
    history::HistoryPoint,
    id::{CertificateId, OrganizationId, ProjectId},
    project::Project,
};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// The time at which tests begin, in Unix seconds.
pub(crate) const START: u64 = 1_800_000_000;

/// A clock that stands still until it is told.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

/// A database of a test's own.
pub(crate) struct Setting {
    pub(crate) location: Location,
    /// The URL of the server itself, where that is PostgreSQL: `location` may lead through a pooler.
    server: Option<String>,
    pub(crate) clock: TestClock,
    /// Removed with the setting.
    _directory: TempDir,
}

impl Setting {
    pub(crate) fn sources(&self) -> Sources {
        let clock = self.clock.0.clone();
        Sources {
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            ..Sources::system()
        }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.location, self.sources()).await.unwrap()
    }

    /// At a place that is there already.
    pub(crate) fn at(location: Location) -> Self {
        Self::new(|_| location)
    }

    /// On PostgreSQL, with the server's own URL.
    fn on_server(location: Location, server: String) -> Self {
        Self {
            server: Some(server),
            ..Self::at(location)
        }
    }

    /// The URL of the server itself, where the database is PostgreSQL.
    pub(crate) fn server_url(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether it is reached through a pooler.
    pub(crate) fn is_pooled(&self) -> bool {
        let direct = self.server.clone().map(Location::postgres);
        direct.is_some_and(|direct| direct != self.location)
    }

    fn new(location: impl FnOnce(&TempDir) -> Location) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            location: location(&directory),
            server: None,
            clock: TestClock(Arc::new(AtomicU64::new(START))),
            _directory: directory,
        }
    }
}

impl Setting {
    /// Runs SQL beside the stores, as a restore or an operator does.
    pub(crate) async fn execute(&self, sql: &str) {
        if let Some(server) = &self.server {
            return administer(server, sql).await;
        }
        Self::execute_on(&self.location, sql).await;
    }

    pub(crate) async fn execute_on(location: &Location, sql: &str) {
        match location {
            Location::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).unwrap();
                file.busy_timeout(Duration::from_secs(5)).unwrap();
                file.execute_batch(sql).unwrap();
            }
            Location::Postgres(urls) => administer(&urls.main, sql).await,
            Location::Memory => unreachable!("nobody else can open it"),
        }
    }

    /// A copy of the database, as a backup is one. Nobody may have it open.
    pub(crate) async fn copy(&self) -> Location {
        match &self.location {
            Location::Sqlite(path) => {
                let copy = path.with_extension("copy");
                let sql = format!("VACUUM INTO '{}'", copy.display());
                self.execute(&sql).await;
                Location::Sqlite(copy)
            }
            Location::Postgres(urls) => {
                let server = env::var("COUNTERSIGN_TEST_POSTGRES_URL").unwrap();
                let name = database(&urls.main);
                let copy = format!("{name}_copy");
                // A pooler keeps sessions that nobody has open.
                let kept = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                );
                administer(&server, &kept).await;
                administer(&server, &format!("CREATE DATABASE {copy} TEMPLATE {name}")).await;
                Location::postgres(with_database(&server, &copy))
            }
            Location::Memory => unreachable!("nobody else can open it"),
        }
    }
}

/// The name of the database in a URL.
fn database(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// Runs a test on every database that several processes can share.
pub(crate) fn on_each_shared<F: Future<Output = ()>>(test: impl Fn(Setting) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let file = |directory: &TempDir| Location::Sqlite(directory.path().join("store.db"));
        test(Setting::new(file)).await;
        let Ok(server) = env::var("COUNTERSIGN_TEST_POSTGRES_URL") else {
            println!("PostgreSQL skipped: COUNTERSIGN_TEST_POSTGRES_URL is not set");
            return;
        };
        let pooler = env::var("COUNTERSIGN_TEST_PGBOUNCER_URL").ok();
        for through in [Some(server.clone()), pooler].into_iter().flatten() {
            with_fresh_database(&server, async |name, own| {
                let location = Location::postgres(with_database(&through, name));
                test(Setting::on_server(location, own.to_owned())).await;
            })
            .await;
        }
    });
}

/// Makes a database for a test, of which it gets name and URL, and removes it.
pub(crate) async fn with_fresh_database(server: &str, test: impl AsyncFnOnce(&str, &str)) {
    let name = format!("countersign_test_{:016x}", fresh());
    administer(server, &format!("CREATE DATABASE {name}")).await;
    test(&name, &with_database(server, &name)).await;
    for name in [format!("{name}_copy"), name] {
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        administer(server, &sql).await;
    }
}

/// Runs a test on every database.
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(Setting) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test(Setting::new(|_| Location::Memory)));
    on_each_shared(test);
}

/// The latest point.
pub(crate) async fn latest(store: &Store) -> HistoryPoint {
    store.organization_bundles(&[]).await.unwrap().point()
}

fn fresh() -> u64 {
    let mut bytes = [0; 8];
    (Sources::system().random)(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// The URL with another database's name.
pub(crate) fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let host_at = address.find("://").unwrap() + 3;
    let path_at = address[host_at..]
        .find('/')
        .map_or(address.len(), |at| host_at + at);
    format!("{}/{name}?{query}", &address[..path_at])
}

pub(crate) async fn administer(server: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

pub(crate) async fn organization(store: &Store) -> OrganizationId {
    store
        .create_organization("Acme")
        .await
        .unwrap()
        .organization
        .id
}

pub(crate) async fn write(store: &Store, organization: &OrganizationId) -> WriteTx {
    store.write(organization, Actor::Operator).await.unwrap()
}

pub(crate) fn anchor(name: &str) -> NewCertificate {
    NewCertificate {
        pem: format!("-----BEGIN CERTIFICATE-----\r\n{name}\n-----END CERTIFICATE-----"),
        name: Some(name.to_owned()),
        cel_policy: None,
        valid_at: START - 1000,
        expires_at: START + 1000,
        fingerprint: Sha256::new([7; 32]),
    }
}

pub(crate) async fn upload(
    store: &Store,
    organization: &OrganizationId,
    name: &str,
) -> Certificate {
    let mut tx = write(store, organization).await;
    let change = tx.upload_certificate(anchor(name)).await.unwrap();
    commit(tx, change).await
}

pub(crate) async fn project(store: &Store, organization: &OrganizationId, name: &str) -> Project {
    let mut tx = write(store, organization).await;
    let new = NewProject {
        name: name.to_owned(),
        residency: None,
        external_key_id: None,
    };
    let change = tx.create_project(new).await.unwrap();
    commit(tx, change).await
}

pub(crate) async fn commit<T>(tx: WriteTx, change: Change<T>) -> T {
    tx.commit(change.events).await.unwrap();
    change.answer
}

pub(crate) async fn activate(
    store: &Store,
    organization: &OrganizationId,
    scope: &Scope,
    ids: &[CertificateId],
) -> Result<u64, StoreError> {
    activate_as(store, organization, scope, ids, Enforcement::Enforce).await
}

pub(crate) async fn activate_as(
    store: &Store,
    organization: &OrganizationId,
    scope: &Scope,
    ids: &[CertificateId],
    enforcement: Enforcement,
) -> Result<u64, StoreError> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let change = tx.activate_certificates(scope, ids, enforcement).await?;
    Ok(tx.commit(change.events).await?.revision)
}

pub(crate) async fn deactivate(
    store: &Store,
    organization: &OrganizationId,
    scope: &Scope,
    ids: &[CertificateId],
) -> Result<u64, StoreError> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let change = tx.deactivate_certificates(scope, ids).await?;
    Ok(tx.commit(change.events).await?.revision)
}

pub(crate) async fn delete(
    store: &Store,
    organization: &OrganizationId,
    id: &CertificateId,
) -> Result<u64, StoreError> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let change = tx.delete_certificate(id).await?;
    Ok(tx.commit(change.events).await?.revision)
}

pub(crate) fn at(project: &ProjectId) -> Scope {
    Scope::Project(project.clone())
}
