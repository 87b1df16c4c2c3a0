//! The database, SQLite or PostgreSQL, behind one concrete [`Store`]. All SQL is in this folder, one
//! file per resource: reads are methods of [`Store`], writes are methods of [`WriteTx`]. A method
//! about an organization takes its id first, or belongs to a `WriteTx` of that organization;
//! another organization's id is [`StoreError::NotFound`].

mod active;
mod active_anchors;
mod admission;
mod api_keys;
mod asserted;
mod assertions;
mod audit_chain;
mod audit_logs;
mod backup;
mod belonging;
mod bundle;
mod bundle_answers;
mod bundle_digests;
mod bundle_heads;
mod bundle_keys;
mod bundle_rows;
mod caller;
mod capabilities;
mod certificates;
mod chain_pages;
mod connection;
mod crl_sources;
mod crls;
mod day;
mod denial_rows;
mod denials;
mod dialect;
mod ended_rules;
mod error;
mod expiry;
mod federation;
mod federation_rules;
mod floors;
mod gateway_keys;
mod gateway_reports;
mod gateways;
mod history;
mod json_column;
mod kept_assertion;
mod key_rows;
mod known_digests;
mod listing;
mod live_streams;
mod location;
mod migrations;
mod new_key;
mod observations;
mod observed_chains;
mod organizations;
mod plausible;
mod postgres;
mod postgres_connect;
mod postgres_session;
mod postgres_url;
mod projects;
mod quota_check;
mod quotas;
mod reach;
mod receipt_keys;
mod recent_changes;
mod refusals;
mod refused_by;
mod refused_scopes;
mod replica;
mod report;
mod retention;
mod revoked_sets;
mod room;
mod rotation_ends;
mod rotations;
mod row;
mod schema;
mod service_accounts;
mod shared_answers;
mod signal;
mod sources;
mod sqlite;
mod sqlite_copy;
mod toggles;
mod token_keys;
mod turns;
mod unverified_chains;
mod usage;
mod value;
mod waiting;
mod webhook_deliveries;
mod webhook_queue;
mod webhooks;
mod workload_identity_providers;
mod workloads;
mod write;

use std::{collections::HashMap, sync::Arc};

use countersign_types::{digest::KeyDigest, history::HistoryPoint, known_sets::KnownSets};
use tokio::{sync::watch, task::JoinSet};

pub use self::{
    active_anchors::ActiveAnchor,
    admission::admission_digest,
    api_keys::NewAdminApiKey,
    audit_logs::{AuditFilter, AuditPage, AuditRange},
    backup::{DatabaseContents, check_database, copy_database, settle_database},
    caller::Caller,
    capabilities::needed_by,
    certificates::NewCertificate,
    chain_pages::ObservedIdentity,
    crl_sources::{CrlSource, DueCrl},
    denials::NewDenial,
    error::{Kind, Outage, RotationProblem, StoreError},
    expiry::{ExpiringCount, ExpiryNotice},
    federation::{ExchangeParties, FederationState, ProvidersAndRules},
    gateway_keys::{CreatedGatewayKey, GatewayKey, GatewayKeyOrganization},
    gateway_reports::{GATEWAY_LIVE_SECONDS, GatewayReport},
    gateways::{FORGET_GATEWAYS_AFTER, GatewayCounts, GatewayFilter, GatewayKeyUse},
    kept_assertion::{JudgedChange, KeptAssertion, NewAssertion, UnjudgedChange},
    listing::PageRequest,
    live_streams::LiveStreams,
    location::{Location, PostgresUrls},
    observations::{NotKept, RecordedBatch},
    observed_chains::ReceivedChain,
    organizations::CreatedOrganization,
    projects::NewProject,
    quotas::{Quota, Quotas},
    reach::Reach,
    receipt_keys::{Belief, MAX_RECEIPT_KEYS},
    retention::OBSERVATION_DAYS,
    room::Room,
    rotations::NewRotation,
    service_accounts::NewServiceAccount,
    shared_answers::BundleAnswer,
    sources::{Clock, Random, Sources},
    token_keys::{ROTATE_TOKEN_KEYS_AFTER, StoredTokenKey},
    waiting::{BundleRequest, Waiting},
    webhooks::NewWebhook,
    workloads::{WORKLOADS_OF_A_PAGE, Workload, WorkloadPage, Workloads},
    write::{Change, WriteTx},
};
use self::{
    connection::{Connection, Database},
    known_digests::KnownDigests,
    recent_changes::RecentChanges,
    replica::Replica,
    report::Report,
    shared_answers::SharedAnswers,
    turns::Turns,
};

pub(crate) use self::gateway_reports::MAX_BUNDLE_WAIT_SECONDS;
pub(crate) use self::webhook_queue::{AttemptResult, Claimed, Due, DueWebhook};

/// The store. Cheap to clone: every clone is the same store.
///
/// Hold no [`WriteTx`] while calling a method of the store: in memory they share one connection, and
/// the read would wait for the write for ever.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    quotas: Quotas,
}

struct Inner {
    database: Database,
    /// For pages of lists, while it has every change that this node knows of.
    replica: Option<Replica>,
    sources: Sources,
    /// The point that was announced last.
    announced: watch::Sender<HistoryPoint>,
    digests: tokio::sync::Mutex<KnownDigests>,
    answers: SharedAnswers,
    /// The serial numbers that revocation lists name, as far as they are in memory.
    sets: KnownSets,
    recent_changes: RecentChanges,
    /// Who asks whose key it has.
    callers: Turns<KeyDigest, Arc<HashMap<KeyDigest, Caller>>>,
    /// Who asks for the latest point.
    latest: Turns<(), HistoryPoint>,
    /// Who reports what it enforces.
    reports: Turns<Report, ()>,
    /// Ends with the store.
    _followers: JoinSet<()>,
}

impl Store {
    /// Opens the database and brings its schema up to date, under a lock, so that any number of
    /// processes may start at once. A SQLite file may be open in several processes too: each reads
    /// the others' changes at once, but notices them only on a timer, within half a second.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the location cannot be used as given,
    /// [`StoreError::TooNew`] when a newer version wrote the database,
    /// [`StoreError::Unavailable`] when it cannot be reached.
    pub async fn open(location: &Location, sources: Sources) -> Result<Self, StoreError> {
        Self::open_with(location, sources, signal::follow).await
    }

    /// The same, but it follows no changes of other processes: whoever opened it calls
    /// [`Self::look_for_changes`] when it is time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_unfollowed(
        location: &Location,
        sources: Sources,
    ) -> Result<Self, StoreError> {
        Self::open_with(location, sources, |_, _| JoinSet::new()).await
    }

    async fn open_with(
        location: &Location,
        sources: Sources,
        follow: impl FnOnce(&Database, &watch::Sender<HistoryPoint>) -> JoinSet<()>,
    ) -> Result<Self, StoreError> {
        let database = Database::open(location)?;
        let replica = Replica::open(location)?;
        migrations::apply(&database, &sources).await?;
        let point = signal::read_point(&database).await?;
        Ok(Self::with(database, replica, sources, point, follow))
    }

    fn with(
        database: Database,
        replica: Option<Replica>,
        sources: Sources,
        point: HistoryPoint,
        follow: impl FnOnce(&Database, &watch::Sender<HistoryPoint>) -> JoinSet<()>,
    ) -> Self {
        let (announced, _) = watch::channel(point);
        Self {
            inner: Arc::new(Inner {
                _followers: follow(&database, &announced),
                database,
                replica,
                sources,
                announced,
                digests: tokio::sync::Mutex::default(),
                answers: SharedAnswers::default(),
                sets: KnownSets::keeping(revoked_sets::KEPT_IN_MEMORY),
                recent_changes: RecentChanges::default(),
                callers: Turns::default(),
                latest: Turns::default(),
                reports: Turns::default(),
            }),
            quotas: Quotas::DEFAULT,
        }
    }

    /// Looks at a database as it is, without bringing its schema up to date: its schema version, 0
    /// when it has none yet.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Corrupt`] when it is no database.
    pub async fn look_at(location: &Location) -> Result<i64, StoreError> {
        migrations::look_at(&Database::open(location)?).await
    }

    /// The same store, which lets no organization have more than this.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// The deployment's latest point as it is announced, whenever it is a different one, a smaller
    /// revision too. It says only that something changed, never what; it may be late by as long as
    /// a signal takes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<HistoryPoint> {
        self.inner.announced.subscribe()
    }

    /// Announces the latest point if nobody did, as after a restored backup.
    pub async fn look_for_changes(&self) {
        // An error is left to the next look.
        let _ = signal::look(&self.inner.database, &self.inner.announced).await;
    }

    /// The deployment's revision as it is stored: one read, which also shows whether the database
    /// answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        let point = signal::read_point(&self.inner.database).await?;
        Ok(point.revision)
    }

    /// Writes, if the last write failed for want of a disk: whether that is over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not.
    pub async fn check_writes(&self) -> Result<(), StoreError> {
        self.inner.database.check_writes().await
    }

    async fn reader(&self) -> Result<Connection, StoreError> {
        self.inner.database.reader().await
    }

    /// For a page of a list: the replica, if it has every change that this node knows of.
    async fn list_reader(&self) -> Result<Connection, StoreError> {
        if let Some(replica) = &self.inner.replica {
            let known = *self.inner.announced.borrow();
            if let Some(connection) = replica.with_all_until(known).await {
                return Ok(connection);
            }
        }
        self.reader().await
    }
}
