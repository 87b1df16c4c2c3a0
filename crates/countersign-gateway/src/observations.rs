//! What was counted goes to the control plane: taken from the tallies every few seconds, put
//! together, and sent in numbered batches until they are acknowledged. None of it is on the path
//! of a request. Memory is bounded, and what is over is counted as dropped.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use countersign_client::{Client, Error};
use countersign_types::{
    UnixSeconds,
    digest::ChainDigest,
    id::{GatewayId, OrganizationId},
    observation::{
        Der, MAX_BATCH_BYTES, MAX_OBSERVATIONS, Observation, ObservationBatch, ObservedChain,
    },
};
use metrics::Counter;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::tally::{Chain, Counts, Subject, Tally, dropped};

/// The most that waits to be acknowledged: distinct counts, and bytes of the chains they name.
const MAX_ENTRIES: usize = 65_536;
const MAX_CHAIN_BYTES: usize = 64 * 1024 * 1024;
/// The most chains that the control plane is remembered to have.
const MAX_KNOWN: usize = 131_072;
/// What an observation and the frame of a chain take in a batch at the most, in bytes.
const OBSERVATION_BYTES: usize = 1280;
const CHAIN_BYTES: usize = 256;
/// How long a stop waits for the last counts to be taken.
const LAST_CALL: Duration = Duration::from_secs(5);

const DAY: UnixSeconds = 24 * 60 * 60;

/// Takes counts from tallies and brings them to the control plane.
pub(crate) struct Observations {
    every: Duration,
    begun: mpsc::Receiver<Arc<Tally>>,
    tallies: Vec<Arc<Tally>>,
    pending: Pending,
    delivery: Delivery,
}

impl Observations {
    pub(crate) fn new(
        every: Duration,
        begun: mpsc::Receiver<Arc<Tally>>,
        client: Client,
        gateway: GatewayId,
    ) -> Self {
        Self {
            every: every.max(Duration::from_millis(1)),
            begun,
            tallies: Vec::new(),
            pending: Pending::default(),
            delivery: Delivery {
                client,
                gateway,
                number: 0,
                sending: Vec::new(),
                known: HashSet::new(),
                failing: false,
            },
        }
    }

    /// Works for ever. It may be cancelled anywhere, and loses nothing by it.
    pub(crate) async fn run(&mut self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.collect();
                    self.delivery.deliver(&mut self.pending).await;
                }
                Some(tally) = self.begun.recv() => self.tallies.push(tally),
            }
        }
    }

    /// Sends what there is, once, and gives up after a while.
    pub(crate) async fn finish(mut self) {
        self.collect();
        let delivering = self.delivery.deliver(&mut self.pending);
        if timeout(LAST_CALL, delivering).await.is_err() {
            tracing::warn!("the control plane takes too long: the latest observations are lost");
        }
        let lost = self.pending.requests() + self.delivery.requests();
        if lost > 0 {
            dropped().increment(lost);
            tracing::warn!(
                requests = lost,
                "ended before the control plane had the latest observations"
            );
        }
    }

    /// Takes the counts of every tally. One that nobody else holds is at its end.
    fn collect(&mut self) {
        while let Ok(tally) = self.begun.try_recv() {
            self.tallies.push(tally);
        }
        let pending = &mut self.pending;
        self.tallies.retain(|tally| {
            // Looked at first: a count that comes after the look comes from somebody who holds it.
            let held = Arc::strong_count(tally) > 1;
            if let Some(counts) = tally.take() {
                pending.add(tally, counts);
            }
            held
        });
    }
}

/// What is counted together: a subject on a UTC day.
type Place = (Subject, u64);

/// A count that is not acknowledged yet.
#[derive(Debug)]
struct Entry {
    counts: Counts,
    chain: Arc<Chain>,
}

impl Entry {
    /// At the most what it takes in a batch, its chain included: base 64 makes four of three.
    fn bytes_in_batch(&self) -> usize {
        let certificates = self.chain.presented.judged().len();
        OBSERVATION_BYTES + CHAIN_BYTES + 8 * certificates + self.chain.bytes().div_ceil(3) * 4
    }
}

/// What was counted and not sent.
struct Pending {
    entries: HashMap<Place, Entry>,
    chain_bytes: usize,
    dropped: Counter,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            chain_bytes: 0,
            dropped: dropped(),
        }
    }
}

impl Pending {
    fn add(&mut self, tally: &Tally, counts: Counts) {
        let place = (tally.subject.clone(), counts.last_seen / DAY);
        self.insert(place, counts, &tally.chain);
    }

    fn insert(&mut self, place: Place, counts: Counts, chain: &Arc<Chain>) {
        if let Some(entry) = self.entries.get_mut(&place) {
            let known = &mut entry.counts;
            known.requests = known.requests.saturating_add(counts.requests);
            known.first_seen = known.first_seen.min(counts.first_seen);
            known.last_seen = known.last_seen.max(counts.last_seen);
            return;
        }
        let bytes = chain.bytes();
        if self.entries.len() >= MAX_ENTRIES || self.chain_bytes + bytes > MAX_CHAIN_BYTES {
            self.dropped.increment(counts.requests);
            return;
        }
        self.chain_bytes += bytes;
        let entry = Entry {
            counts,
            chain: Arc::clone(chain),
        };
        self.entries.insert(place, entry);
    }

    /// Takes as much as fits in a batch, should all its chains have to go with it.
    fn next(&mut self) -> Vec<(Place, Entry)> {
        let mut room = MAX_BATCH_BYTES - OBSERVATION_BYTES;
        let mut places = Vec::new();
        for (place, entry) in self.entries.iter().take(MAX_OBSERVATIONS) {
            let Some(rest) = room.checked_sub(entry.bytes_in_batch()) else {
                break;
            };
            room = rest;
            places.push(place.clone());
        }
        let next: Vec<_> = places
            .iter()
            .filter_map(|place| self.entries.remove_entry(place))
            .collect();
        for (_, entry) in &next {
            self.chain_bytes = self.chain_bytes.saturating_sub(entry.chain.bytes());
        }
        next
    }

    fn requests(&self) -> u64 {
        let counts = self.entries.values().map(|entry| entry.counts.requests);
        counts.sum()
    }
}

/// Brings batches to the control plane, one after another.
struct Delivery {
    client: Client,
    gateway: GatewayId,
    /// The number of the batch that is being sent, or of the last one.
    number: u64,
    /// What is in it. It stays as it is until it is acknowledged: it may have been applied.
    sending: Vec<(Place, Entry)>,
    /// Chains that the control plane has, as far as is known.
    known: HashSet<(OrganizationId, ChainDigest)>,
    failing: bool,
}

impl Delivery {
    /// Sends until nothing is left, or until it fails: the next time goes on with the same batch.
    async fn deliver(&mut self, pending: &mut Pending) {
        loop {
            if self.sending.is_empty() {
                self.sending = pending.next();
                if self.sending.is_empty() {
                    return;
                }
                self.number += 1;
            }
            let batch = self.batch();
            match self.client.countersign().record_observations(&batch).await {
                Ok(receipt) if receipt.unknown_chains.is_empty() => self.acknowledged(),
                Ok(receipt) => self.send_chains(&receipt.unknown_chains),
                Err(error) if is_final(&error) => self.refused(&error),
                Err(error) => return self.failed(&error),
            }
        }
    }

    fn batch(&self) -> ObservationBatch {
        let mut brought = HashSet::new();
        let mut chains = Vec::new();
        for ((subject, _), entry) in &self.sending {
            let Some(digest) = subject.chain else {
                continue;
            };
            let identity = (subject.organization.clone(), digest);
            if self.known.contains(&identity) || !brought.insert(identity) {
                continue;
            }
            let certificates = entry.chain.presented.judged();
            chains.push(ObservedChain {
                organization: subject.organization.clone(),
                certificates: certificates.iter().map(|der| Der(der.to_vec())).collect(),
            });
        }
        ObservationBatch {
            gateway: self.gateway.clone(),
            number: self.number,
            chains,
            observations: self.sending.iter().map(observation).collect(),
        }
    }

    fn acknowledged(&mut self) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the control plane takes observations again");
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        for ((subject, _), _) in self.sending.drain(..) {
            if let Some(chain) = subject.chain {
                self.known.insert((subject.organization, chain));
            }
        }
    }

    /// The control plane lacks chains, so it applied nothing: the same counts go again, with them.
    fn send_chains(&mut self, unknown: &[ChainDigest]) {
        let before = self.known.len();
        self.known.retain(|(_, digest)| !unknown.contains(digest));
        if self.known.len() < before {
            return;
        }
        // It had them and does not know them: it reads them otherwise, and always will.
        tracing::error!(%self.gateway, "the control plane does not know the chains that it was sent");
        self.drop_batch();
    }

    /// The control plane will never take this batch.
    fn refused(&mut self, error: &Error) {
        tracing::error!(%error, "the control plane refuses observations: they are dropped");
        self.drop_batch();
    }

    fn drop_batch(&mut self) {
        dropped().increment(self.requests());
        self.sending.clear();
    }

    fn failed(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "cannot send observations; they are kept and sent again");
        }
    }

    fn requests(&self) -> u64 {
        let counts = self.sending.iter().map(|(_, entry)| entry.counts.requests);
        counts.sum()
    }
}

/// Whether an answer is about what the batch holds, so that sending it again cannot help.
fn is_final(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 413 | 415 | 422))
}

fn observation(((subject, _), entry): &(Place, Entry)) -> Observation {
    let anchor = subject.outcome.anchor.as_ref();
    Observation {
        organization: subject.organization.clone(),
        project: subject.project.clone(),
        key: subject.key.clone(),
        chain: subject.chain,
        code: subject.outcome.code,
        anchor: anchor.map(|(anchor, _)| anchor.clone()),
        anchor_scope: anchor.map(|(_, scope)| *scope),
        reported: subject.outcome.reported.clone(),
        requests: entry.counts.requests,
        first_seen: entry.counts.first_seen,
        last_seen: entry.counts.last_seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Outcome;
    use countersign_types::{
        error::ErrorCode,
        id::{ApiKeyId, CertificateId, MAX_ID_BYTES, ProjectId},
        observation::{AnchorScope, MAX_CHAINS, ReportedOutcome},
    };
    use countersign_verify::presented::{MAX_BYTES, MAX_CERTIFICATES, Presented};
    use rustls::pki_types::CertificateDer;

    /// The longest id of a kind.
    fn id<T: std::str::FromStr>(prefix: &str, number: usize) -> T {
        let width = MAX_ID_BYTES - prefix.len();
        let Ok(id) = format!("{prefix}{number:0width$}").parse() else {
            panic!("{prefix}")
        };
        id
    }

    /// As large as an observation can be.
    fn place(number: usize, chain: &Chain) -> Place {
        let anchor: CertificateId = id("cert_", number);
        let code = Some(ErrorCode::CertificateAttributeVerificationFailed);
        let subject = Subject {
            organization: id("org-", number),
            project: Some(id::<ProjectId>("proj_", number)),
            key: Some(id::<ApiKeyId>("key_", number)),
            chain: Some(chain.digest),
            outcome: Outcome {
                code,
                anchor: Some((anchor.clone(), AnchorScope::Organization)),
                reported: Some(ReportedOutcome {
                    code,
                    anchor: Some(anchor),
                }),
            },
        };
        (subject, 0)
    }

    fn chain(certificates: usize, bytes: usize) -> Arc<Chain> {
        let der = CertificateDer::from(vec![7; bytes / certificates]);
        Arc::new(Chain::new(Presented::new(vec![der; certificates])))
    }

    const COUNTS: Counts = Counts {
        requests: u64::MAX,
        first_seen: u64::MAX,
        last_seen: u64::MAX,
    };

    fn delivery(sending: Vec<(Place, Entry)>) -> Delivery {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .base_url("http://127.0.0.1:9/v1")
            .key(countersign_types::secret::Secret::new("sk-gateway-a"))
            .build()
            .unwrap();
        Delivery {
            client,
            gateway: id("gw_", 0),
            number: u64::MAX,
            sending,
            known: HashSet::new(),
            failing: false,
        }
    }

    #[test]
    fn a_batch_never_has_more_than_the_control_plane_takes() {
        for (certificates, bytes, number) in [
            (1, 1, 2_000),
            (3, 3_000, 400),
            (MAX_CERTIFICATES, MAX_BYTES, 20),
        ] {
            let chain = chain(certificates, bytes);
            let mut pending = Pending::default();
            for number in 0..number {
                let (place, chain) = (place(number, &chain), Arc::clone(&chain));
                pending.insert(place, COUNTS, &chain);
            }
            let mut rows = 0;
            loop {
                let next = pending.next();
                if next.is_empty() {
                    break;
                }
                rows += next.len();
                let batch = delivery(next).batch();
                let text = serde_json::to_vec(&batch).unwrap();
                assert!(text.len() <= MAX_BATCH_BYTES, "{}", text.len());
                assert!(batch.observations.len() <= MAX_OBSERVATIONS);
                assert!(batch.chains.len() <= MAX_CHAINS);
                assert_eq!(batch.chains.len(), batch.observations.len());
            }
            assert_eq!((rows, pending.chain_bytes), (number, 0));
        }
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let (small, large) = (chain(1, 1), chain(1, MAX_BYTES));
        let mut pending = Pending::default();
        let (subject, _) = place(0, &small);
        for day in 0..=u64::try_from(MAX_ENTRIES).unwrap() {
            pending.insert((subject.clone(), day), COUNTS, &small);
        }
        assert_eq!(pending.entries.len(), MAX_ENTRIES);
        let mut pending = Pending::default();
        for number in 0..=MAX_CHAIN_BYTES / MAX_BYTES {
            pending.insert(place(number, &large), COUNTS, &large);
        }
        assert_eq!(pending.chain_bytes, MAX_CHAIN_BYTES);
        // What is there already still counts.
        let more = Counts {
            requests: 0,
            ..COUNTS
        };
        pending.insert(place(0, &large), more, &large);
        assert_eq!(pending.chain_bytes, MAX_CHAIN_BYTES);
    }
}
