//! What every request shares: the store, the clock, and what the operator set.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use countersign_trace::Spans;
use countersign_types::{UnixSeconds, request_ids::RequestIds};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{
    crl_fetching::CrlFetcher,
    metrics::WARNING,
    preview::TrialJudge,
    store::{Clock, FORGET_GATEWAYS_AFTER, OBSERVATION_DAYS, Sources, Store, StoreError},
    tokens::Federations,
};

/// The state of the API. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    store: Store,
    clock: Clock,
    leaving: AtomicBool,
    closing: CancellationToken,
    trials: TrialJudge,
    federations: Federations,
    request_ids: RequestIds,
    options: AppOptions,
    warnings: Mutex<BTreeSet<Warning>>,
    /// Fetches revocation lists; none where nothing does.
    crl_fetcher: OnceLock<CrlFetcher>,
    /// Where spans go; none unless they are collected.
    spans: Option<Arc<Spans>>,
    /// The OpenAPI document. The router sets it: the document is made from the table of
    /// operations, whose handlers know this type.
    document: OnceLock<Bytes>,
}

/// What is wrong with this process though it answers requests. Whoever asks whether it is ready may be
/// anyone, so the reasons are in the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The configuration was to be reloaded and cannot be used; the old one stays in use.
    ConfigurationNotReloaded,
    /// The certificate's files have changed and cannot be used; the old certificate stays in use.
    TlsCertificateNotReloaded,
}

impl Warning {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigurationNotReloaded => "configuration_not_reloaded",
            Self::TlsCertificateNotReloaded => "tls_certificate_not_reloaded",
        }
    }
}

/// The operator's settings of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppOptions {
    /// For how many days observations are kept, today included.
    pub observation_days: u32,
    /// Whether webhooks may go to addresses that are not public, and without TLS.
    pub private_webhooks: bool,
    /// For how many seconds a gateway that vanished is listed as missing.
    pub forget_gateways_after: u64,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            observation_days: OBSERVATION_DAYS,
            private_webhooks: false,
            forget_gateways_after: FORGET_GATEWAYS_AFTER,
        }
    }
}

impl App {
    /// The API over a store, with the same clock and randomness as the store's.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn new(store: Store, sources: &Sources) -> Result<Self, StoreError> {
        Self::with_options(store, sources, AppOptions::default(), None)
    }

    /// The same with the operator's settings. Requests are recorded as spans where these go anywhere.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn with_options(
        store: Store,
        sources: &Sources,
        options: AppOptions,
        spans: Option<Arc<Spans>>,
    ) -> Result<Self, StoreError> {
        let mut seed = [0; 16];
        (sources.random)(&mut seed)?;
        let trials = TrialJudge::new(store.clone(), Arc::clone(&sources.clock));
        Ok(Self(Arc::new(Shared {
            store,
            clock: Arc::clone(&sources.clock),
            leaving: AtomicBool::new(false),
            closing: CancellationToken::new(),
            trials,
            federations: Federations::default(),
            request_ids: RequestIds::new(u128::from_be_bytes(seed)),
            options,
            warnings: Mutex::default(),
            crl_fetcher: OnceLock::new(),
            spans,
            document: OnceLock::new(),
        })))
    }

    /// Says at `/readyz` that this process is about to end. All requests are still answered.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed) || self.0.closing.is_cancelled()
    }

    /// Begins the shutdown: requests that wait for a change are answered at once, and `/readyz`
    /// refuses. Other requests are still answered.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Sets whether something is wrong, which `/readyz` says.
    pub fn set_warning(&self, warning: Warning, is_wrong: bool) {
        let labels = [("warning", warning.as_str())];
        metrics::gauge!(WARNING, &labels).set(if is_wrong { 1.0 } else { 0.0 });
        let mut warnings = self.warnings_lock();
        if is_wrong {
            warnings.insert(warning);
        } else {
            warnings.remove(&warning);
        }
    }

    /// What is wrong.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        self.warnings_lock().iter().copied().collect()
    }

    fn warnings_lock(&self) -> MutexGuard<'_, BTreeSet<Warning>> {
        let warnings = &self.0.warnings;
        warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Lets revocation lists be fetched from URLs. Only the first call counts.
    pub fn fetch_crls_with(&self, fetcher: CrlFetcher) {
        let _ = self.0.crl_fetcher.set(fetcher);
    }

    pub(super) fn crl_fetcher(&self) -> Option<&CrlFetcher> {
        self.0.crl_fetcher.get()
    }

    pub(super) fn private_webhooks(&self) -> bool {
        self.0.options.private_webhooks
    }

    /// Gateways that were last seen before this are forgotten.
    pub(super) fn gateways_kept_since(&self) -> UnixSeconds {
        let kept = self.0.options.forget_gateways_after;
        self.now().saturating_sub(kept)
    }

    pub(super) fn now(&self) -> UnixSeconds {
        (self.0.clock)()
    }

    pub(super) fn observation_days(&self) -> u32 {
        self.0.options.observation_days
    }

    pub(super) fn trials(&self) -> &TrialJudge {
        &self.0.trials
    }

    pub(super) fn federations(&self) -> &Federations {
        &self.0.federations
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// A number that no other request has.
    pub(super) fn next_request_number(&self) -> u128 {
        self.0.request_ids.next_number()
    }

    pub(super) fn spans(&self) -> Option<&Arc<Spans>> {
        self.0.spans.as_ref()
    }

    /// Sets the OpenAPI document; a second router over the same state sets the same one.
    pub(super) fn set_document(&self, document: &Bytes) {
        self.0.document.get_or_init(|| document.clone());
    }

    pub(super) fn document(&self) -> Option<&Bytes> {
        self.0.document.get()
    }
}
