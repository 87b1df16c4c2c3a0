//! Fetches revocation lists from their URLs, each as often as it was asked for. What cannot be fetched or believed
//! is noted at the list, and what is kept stays in force. Any number of nodes may run this at once.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_types::{audit::Actor, id::OrganizationId};
use countersign_verify::{
    certificate::Anchor,
    crl::{self, MAX_CRL_BYTES, RevocationList},
};
use tokio::{task::JoinSet, time};
use url::Url;

use crate::{
    metrics::CRL_FETCHES,
    preview::{Trial, TrialJudge},
    store::{CrlSource, DueCrl, JudgedChange, Sources, Store, StoreError, UnjudgedChange},
    webhooks::{
        FETCH_TIMEOUT, FetchError, Fetched, Sender, Validators, WebhookOptions, check_list_url,
    },
};

/// How long a list that is to be fetched belongs to one node, in seconds: longer than a fetch can take.
const LEASE: u64 = 4 * FETCH_TIMEOUT.as_secs();
/// How often to look for lists that are due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many are fetched at once: each may take a hundred megabytes for a moment. An organization has one of them.
const AT_ONCE: usize = 4;
/// After how many seconds a fetch that failed is made again, or sooner if the interval is shorter.
const RETRY: u64 = 300;
/// How often a change is judged again when the organization changed in between.
const ATTEMPTS: usize = 5;
/// PEM has four bytes for three, and line breaks.
const MAX_BYTES: usize = MAX_CRL_BYTES / 2 * 3;
/// The most characters of a reason that are kept.
const MAX_REASON: usize = 1000;

/// Fetches a list when it is asked for.
#[derive(Clone)]
pub struct CrlFetcher(Arc<Sender>);

impl CrlFetcher {
    /// By the rules for webhooks: the same addresses, and the same roots.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when the file of roots cannot be used.
    pub fn new(options: &WebhookOptions) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Sender::new(options)?)))
    }

    /// Reads a URL that may be fetched, or says what is wrong with it.
    pub(crate) fn check(&self, url: &str) -> Result<Url, &'static str> {
        check_list_url(url, self.0.private())
    }

    /// What is at a URL, unless it is as it was.
    pub(crate) async fn fetch(&self, url: &Url, known: &Validators) -> Result<Fetched, FetchError> {
        self.0.fetch(url, known, MAX_BYTES).await
    }
}

/// Fetches what is due, until told to stop.
#[derive(Clone)]
pub struct CrlFetching {
    store: Store,
    sources: Sources,
    trials: TrialJudge,
    fetcher: CrlFetcher,
}

impl CrlFetching {
    /// For a store, with the same clock and randomness as the store's.
    #[must_use]
    pub fn new(store: Store, sources: Sources, fetcher: CrlFetcher) -> Self {
        Self {
            trials: TrialJudge::new(store.clone(), Arc::clone(&sources.clock)),
            store,
            sources,
            fetcher,
        }
    }

    /// Runs until `ended`, then waits for what is under way.
    pub async fn run(self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let mut look = time::interval(LOOK_EVERY);
        let mut under_way = JoinSet::new();
        let mut busy = HashSet::new();
        // An outage is logged once, not every second.
        let mut failing = false;
        loop {
            tokio::select! {
                () = &mut ended => break,
                Some(done) = under_way.join_next() => match done {
                    Ok(organization) => drop(busy.remove(&organization)),
                    // After a panic nobody knows whose it was.
                    Err(_) if under_way.is_empty() => busy.clear(),
                    Err(_) => {}
                },
                _ = look.tick() => {
                    let room = AT_ONCE.saturating_sub(under_way.len());
                    let due = self.store.claim_due_crls(LEASE, &busy, room).await;
                    if let (Err(error), false) = (&due, failing) {
                        tracing::warn!(%error, "cannot read which revocation lists are due; will try again");
                    }
                    failing = due.is_err();
                    for each in due.unwrap_or_default() {
                        busy.insert(each.organization.clone());
                        under_way.spawn(self.clone().refresh(each));
                    }
                }
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Fetches a list once, and puts what is new in force.
    async fn refresh(self, due: DueCrl) -> OrganizationId {
        let error = match self.fetch(&due).await {
            Ok(()) => None,
            Err(Trouble::Store(error)) => {
                tracing::warn!(crl = %due.id, %error, "cannot keep a revocation list; it will be fetched again");
                return due.organization;
            }
            Err(Trouble::List(why)) => Some(why.chars().take(MAX_REASON).collect::<String>()),
        };
        let outcome = if error.is_some() { "failed" } else { "fetched" };
        metrics::counter!(CRL_FETCHES, "outcome" => outcome).increment(1);
        let interval = due.source.interval;
        let pause = if error.is_some() {
            interval.min(RETRY)
        } else {
            interval
        };
        let next = self.sources.now() + pause;
        if let Some(why) = &error {
            tracing::warn!(crl = %due.id, certificate = %due.certificate, why, "a revocation list cannot be renewed; the kept one stays in force");
        }
        let noted = self.store.note_fetched_crl(&due, error.as_deref(), next);
        if let Err(error) = noted.await {
            tracing::warn!(crl = %due.id, %error, "cannot note what came of a fetch; it will be made again");
        }
        due.organization
    }

    async fn fetch(&self, due: &DueCrl) -> Result<(), Trouble> {
        let url = self.fetcher.check(&due.source.url);
        let url = url.map_err(|why| Trouble::List(format!("The URL is not allowed. {why}")))?;
        let known = Validators {
            etag: due.source.etag.clone(),
            last_modified: due.source.last_modified.clone(),
        };
        let (bytes, validators) = match self.fetcher.fetch(&url, &known).await {
            Ok(Fetched::Unchanged) => return Ok(()),
            Ok(Fetched::Whole(bytes, validators)) => (bytes, validators),
            Err(error) => return Err(Trouble::List(not_fetched(&error))),
        };
        let list = self.read(due, bytes).await?;
        let source = CrlSource {
            etag: validators.etag,
            last_modified: validators.last_modified,
            ..due.source.clone()
        };
        self.put_in_force(due, &list, &source).await
    }

    async fn read(&self, due: &DueCrl, bytes: Bytes) -> Result<RevocationList, Trouble> {
        let (pem, issuers) = (due.pem.clone(), due.source.issuer_certificates.clone());
        let now = self.sources.now();
        let read = tokio::task::spawn_blocking(move || {
            let anchor = Anchor::from_pem(&pem).map_err(|error| error.to_string())?;
            crl::read(&bytes, &anchor, issuers.as_deref(), now).map_err(|error| error.message)
        });
        let read = read
            .await
            .map_err(|error| Trouble::List(error.to_string()))?;
        let list = read.map_err(Trouble::List)?;
        if list.issuer().sha256() != due.issuer {
            let what = format!(
                "The revocation list there is of another CA now: `{}`. Add it by itself, and delete this one.",
                list.issuer_name()
            );
            return Err(Trouble::List(what));
        }
        Ok(list)
    }

    /// A change of trust like any other: judged by the organization's assertions, which nobody overrides here.
    async fn put_in_force(
        &self,
        due: &DueCrl,
        list: &RevocationList,
        source: &CrlSource,
    ) -> Result<(), Trouble> {
        let mut judged: Option<JudgedChange> = None;
        for _ in 0..ATTEMPTS {
            let write = self.store.write(&due.organization, Actor::Operator);
            let mut tx = write.await.map_err(trouble)?;
            let replaced = tx.replace_fetched_crl(due, list, source).await;
            let Some(change) = replaced.map_err(trouble)? else {
                return Ok(());
            };
            if let Some(judged) = judged.take() {
                tx.accept(judged);
            }
            match tx.commit(change.events).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Unjudged(change)) => {
                    judged = Some(self.judge(&due.organization, *change).await?);
                }
                Err(error) => return Err(trouble(error)),
            }
        }
        let why = "The organization changed each time that the list was judged by its assertions.";
        Err(Trouble::List(why.to_owned()))
    }

    async fn judge(
        &self,
        organization: &OrganizationId,
        UnjudgedChange { before, after }: UnjudgedChange,
    ) -> Result<JudgedChange, Trouble> {
        let trial = Trial {
            before: before.clone(),
            after: after.clone(),
            tokens: None,
        };
        let broken = self.trials.broken(organization, trial).await;
        let broken = broken.map_err(|error| Trouble::List(error.to_string()))?;
        if broken.is_empty() {
            return Ok(JudgedChange {
                before,
                after,
                overridden: Vec::new(),
            });
        }
        let named: Vec<_> = broken
            .iter()
            .take(10)
            .map(|each| format!("`{}`", each.name))
            .collect();
        Err(Trouble::List(format!(
            "Assertions that hold now would not hold with the new list: {}. Delete those that are no longer meant, or \
             add the list by hand.",
            named.join(", ")
        )))
    }
}

/// Why a fetch failed.
pub(crate) fn not_fetched(error: &FetchError) -> String {
    format!("The revocation list cannot be fetched: {error}.")
}

/// Why the kept list stays.
enum Trouble {
    /// The list, or the way to it.
    List(String),
    /// The database.
    Store(StoreError),
}

fn trouble(error: StoreError) -> Trouble {
    match error {
        StoreError::CrlRefused(rejection) => Trouble::List(rejection.message),
        error => Trouble::Store(error),
    }
}
