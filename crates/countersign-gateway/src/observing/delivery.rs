//! Sending counts to the control plane, in numbered batches, until each is acknowledged.

use std::collections::HashSet;

use countersign_client::{Client, Error};
use countersign_types::{
    digest::ChainDigest,
    id::{GatewayId, OrganizationId},
    live_streams::LiveReport,
    observation::{Der, Observation, ObservationBatch, ObservedChain},
    refused_by::RefusedByCount,
};
use tokio::sync::watch;

use super::{
    live_report,
    pending::{CountKey, Entry, Pending},
    refusals::{Refusals, SUMMARY_BYTES, Waiting},
    refused_by::{COUNT_BYTES, RefusedByCounts},
    tally::dropped,
};

/// The most chains that the control plane is remembered to have.
const MAX_KNOWN: usize = 131_072;

/// How many summaries of refused requests one batch has at most: a quarter of its bytes.
const REFUSALS_OF_A_BATCH: usize = 100;
/// How many counts of denials, floors and lists: a few percent of them.
const REFUSED_BY_OF_A_BATCH: usize = 100;

/// What waits to be sent.
pub(crate) struct WaitingCounts<'a> {
    pub(crate) pending: &'a mut Pending,
    pub(crate) refusals: &'a mut Refusals,
    pub(crate) refused_by: &'a mut RefusedByCounts,
}

/// Sends batches to the control plane, one after another.
pub(crate) struct Delivery {
    /// The client as it was last configured.
    client: watch::Receiver<Client>,
    gateway: GatewayId,
    /// The number of the batch that is being sent, or of the last one.
    number: u64,
    /// What is in it. It does not change until it is acknowledged: the control plane may have
    /// applied it, and recognizes it only by its number.
    sending: Vec<(CountKey, Entry)>,
    sending_refusals: Vec<Waiting>,
    sending_refused_by: Vec<RefusedByCount>,
    /// The streams under way that are to be reported, and those that the batch reports.
    live: Option<LiveReport>,
    sending_live: Option<LiveReport>,
    /// Chains that the control plane has, as far as is known.
    known: HashSet<(OrganizationId, ChainDigest)>,
    failing: bool,
}

impl Delivery {
    pub(crate) fn new(client: watch::Receiver<Client>, gateway: GatewayId) -> Self {
        Self {
            client,
            gateway,
            number: 0,
            sending: Vec::new(),
            sending_refusals: Vec::new(),
            sending_refused_by: Vec::new(),
            live: None,
            sending_live: None,
            known: HashSet::new(),
            failing: false,
        }
    }

    /// Reports the streams under way with the next batch, in place of what was not reported yet.
    pub(crate) fn report_live(&mut self, live: Option<LiveReport>) {
        self.live = live.or_else(|| self.live.take());
    }

    /// Sends until nothing is left, or until it fails; the next call then sends the same batch
    /// again.
    pub(crate) async fn deliver(&mut self, waiting: WaitingCounts<'_>) {
        loop {
            if self.is_empty() {
                self.sending_refusals = waiting.refusals.next(REFUSALS_OF_A_BATCH);
                self.sending_refused_by = waiting.refused_by.next(REFUSED_BY_OF_A_BATCH);
                self.sending_live = self.live.take();
                let others = live_report::bytes(self.sending_live.as_ref())
                    + self.sending_refusals.len() * SUMMARY_BYTES
                    + self.sending_refused_by.len() * COUNT_BYTES;
                self.sending = waiting.pending.next(others);
                if self.is_empty() {
                    return;
                }
                self.number += 1;
            }
            let batch = self.batch();
            let client = self.client.borrow().clone();
            match client.countersign().record_observations(&batch).await {
                Ok(receipt) if receipt.unknown_chains.is_empty() => {
                    self.acknowledged(receipt.refusals.is_some());
                }
                Ok(receipt) => self.send_chains(&receipt.unknown_chains),
                Err(error) if is_final(&error) => self.rejected(&error),
                Err(error) => return self.failed(&error),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.sending.is_empty()
            && self.sending_refusals.is_empty()
            && self.sending_refused_by.is_empty()
            && self.sending_live.is_none()
    }

    fn batch(&self) -> ObservationBatch {
        let mut included = HashSet::new();
        let mut chains = Vec::new();
        for ((subject, _), entry) in &self.sending {
            let Some(digest) = subject.identity.chain else {
                continue;
            };
            let identity = (subject.organization.clone(), digest);
            if self.known.contains(&identity) || !included.insert(identity) {
                continue;
            }
            let certificates = entry.chain.presented.judged();
            chains.push(ObservedChain {
                organization: subject.organization.clone(),
                certificates: certificates.iter().map(|der| Der(der.to_vec())).collect(),
            });
        }
        let refusals = self.sending_refusals.iter();
        ObservationBatch {
            gateway: self.gateway.clone(),
            number: self.number,
            chains,
            observations: self.sending.iter().map(observation).collect(),
            refusals: Some(refusals.map(|each| each.summary.clone()).collect()),
            refused_by: Some(self.sending_refused_by.clone()),
            live: self.sending_live.clone(),
        }
    }

    fn acknowledged(&mut self, with_refusals: bool) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the control plane accepts observations again");
        }
        if !with_refusals {
            // A control plane of an earlier version passed over them.
            dropped().increment(self.only_refusals());
        }
        self.sending_refusals.clear();
        self.sending_refused_by.clear();
        self.sending_live = None;
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        for ((subject, _), _) in self.sending.drain(..) {
            if let Some(chain) = subject.identity.chain {
                self.known.insert((subject.organization, chain));
            }
        }
    }

    /// The control plane lacks chains, so it applied nothing: the same counts are sent again, with
    /// the chains.
    fn send_chains(&mut self, unknown: &[ChainDigest]) {
        let before = self.known.len();
        self.known.retain(|(_, digest)| !unknown.contains(digest));
        if self.known.len() < before {
            return;
        }
        // They were sent with this very batch: sending them once more would not help.
        tracing::error!(%self.gateway, "the control plane does not recognize the chains that it was sent");
        self.drop_batch();
    }

    /// The control plane will never accept this batch.
    fn rejected(&mut self, error: &Error) {
        tracing::error!(%error, "the control plane refuses these observations; they are dropped");
        self.drop_batch();
    }

    fn drop_batch(&mut self) {
        dropped().increment(self.requests());
        self.sending.clear();
        self.sending_refusals.clear();
        self.sending_refused_by.clear();
        self.sending_live = None;
    }

    fn failed(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "cannot send observations; will try again");
        }
    }

    /// How many requests the unacknowledged batch counts.
    pub(crate) fn requests(&self) -> u64 {
        let counts = self.sending.iter().map(|(_, entry)| entry.counts.requests);
        counts.sum::<u64>() + self.only_refusals()
    }

    fn only_refusals(&self) -> u64 {
        let counts = self.sending_refusals.iter().map(|each| each.only_here);
        counts.sum()
    }
}

/// Whether the batch itself was refused, so that sending it again cannot help.
fn is_final(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 413 | 415 | 422))
}

fn observation(((subject, _), entry): &(CountKey, Entry)) -> Observation {
    let anchor = subject.outcome.anchor.as_ref();
    Observation {
        organization: subject.organization.clone(),
        identity: subject.identity.clone(),
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
    use crate::{
        observing::{
            pending::{MAX_CHAIN_BYTES, MAX_ENTRIES},
            tally::{Counts, Subject},
        },
        verdict::{chain::Chain, outcome::Outcome},
    };
    use countersign_types::{
        certificate::Enforcement,
        digest::Sha256,
        error::ErrorCode,
        id::{ApiKeyId, CertificateId, MAX_ID_BYTES, ProjectId},
        live_streams::{MAX_LIVE_WORKLOADS, OrganizationStreams, WorkloadStreams},
        observation::{
            AnchorScope, MAX_BATCH_BYTES, MAX_CHAINS, MAX_OBSERVATIONS, ReportedOutcome,
        },
        refusal::{MAX_REFUSALS, RefusalSummary, RefusedLeaf},
        refused_by::{CrlOfIssuer, MAX_REFUSED_BY, RefusedBy},
        workload::ObservedWorkload,
    };
    use countersign_verify::presented::{MAX_BYTES, MAX_CERTIFICATES, Presented};
    use rustls::pki_types::CertificateDer;
    use std::sync::Arc;

    /// The longest id of a kind.
    fn id<T: std::str::FromStr>(prefix: &str, number: usize) -> T {
        let width = MAX_ID_BYTES - prefix.len();
        let Ok(id) = format!("{prefix}{number:0width$}").parse() else {
            panic!("{prefix}")
        };
        id
    }

    /// As large as an observation can be.
    fn count_key(number: usize, chain: &Chain) -> CountKey {
        let anchor: CertificateId = id("cert_", number);
        let code = Some(ErrorCode::CertificateAttributeVerificationFailed);
        let subject = Subject {
            organization: id("org-", number),
            identity: ObservedWorkload {
                project: Some(id::<ProjectId>("proj_", number)),
                key: Some(id::<ApiKeyId>("key_", number)),
                chain: Some(chain.digest),
            },
            outcome: Outcome {
                code,
                anchor: Some((anchor.clone(), AnchorScope::Organization)),
                reported: Some(ReportedOutcome {
                    code,
                    anchor: Some(anchor),
                }),
                refused_by: None,
                reported_by: None,
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

    /// As many summaries as a batch has, as large as they can be.
    fn summaries() -> Vec<RefusalSummary> {
        let summary = RefusalSummary {
            organization: id("org-", 0),
            project: Some(id("proj_", 0)),
            key: Some(id("key_", 0)),
            leaf: Some(RefusedLeaf::new(Sha256::of("leaf"), &"\u{1}".repeat(300))),
            code: ErrorCode::CertificateAttributeVerificationFailed,
            requests: u64::MAX,
            first_seen: u64::MAX,
            last_seen: u64::MAX,
        };
        vec![summary; REFUSALS_OF_A_BATCH]
    }

    /// As many counts as a batch has, as large as they can be.
    fn refused_by() -> Vec<RefusedByCount> {
        let count = RefusedByCount {
            organization: id("org-", 0),
            by: RefusedBy::Crl(CrlOfIssuer {
                certificate: id("cert_", 0),
                issuer_sha256: Sha256::of("issuer"),
            }),
            enforcement: Enforcement::Enforce,
            requests: u64::MAX,
            last_seen: u64::MAX,
        };
        vec![count; REFUSED_BY_OF_A_BATCH]
    }

    /// A report of as many workloads as it names, as large as they can be.
    fn live() -> LiveReport {
        let chain = chain(1, 1).digest;
        let workload = WorkloadStreams {
            identity: ObservedWorkload {
                project: Some(id("proj_", 0)),
                key: Some(id("key_", 0)),
                chain: Some(chain),
            },
            streams: u64::MAX,
        };
        LiveReport {
            gateway: id("gw_", 0),
            organizations: vec![
                OrganizationStreams {
                    organization: id("org-", 0),
                    streams: u64::MAX,
                    workloads: vec![workload],
                };
                MAX_LIVE_WORKLOADS / 2
            ],
        }
    }

    fn waiting(summary: &RefusalSummary) -> Waiting {
        Waiting {
            summary: summary.clone(),
            only_here: 1,
        }
    }

    fn delivery(sending: Vec<(CountKey, Entry)>) -> Delivery {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .base_url("http://127.0.0.1:9/v1")
            .key(countersign_types::secret::Secret::new("sk-gateway-a"))
            .build()
            .unwrap();
        Delivery {
            number: u64::MAX,
            sending,
            ..Delivery::new(watch::channel(client).1, id("gw_", 0))
        }
    }

    #[test]
    fn a_batch_never_has_more_than_the_control_plane_takes() {
        let (refusals, refused_by) = (summaries(), refused_by());
        let live = Some(live());
        let others = refusals.len() * SUMMARY_BYTES
            + refused_by.len() * COUNT_BYTES
            + live_report::bytes(live.as_ref());
        for (certificates, bytes, number) in [
            (1, 1, 2_000),
            (3, 3_000, 400),
            (MAX_CERTIFICATES, MAX_BYTES, 20),
        ] {
            let chain = chain(certificates, bytes);
            let mut pending = Pending::new(MAX_ENTRIES);
            for number in 0..number {
                let (key, chain) = (count_key(number, &chain), Arc::clone(&chain));
                pending.insert(key, COUNTS, &chain);
            }
            let mut rows = 0;
            loop {
                let next = pending.next(others);
                if next.is_empty() {
                    break;
                }
                rows += next.len();
                let mut delivery = delivery(next);
                delivery.sending_refusals = refusals.iter().map(waiting).collect();
                delivery.sending_refused_by.clone_from(&refused_by);
                delivery.sending_live.clone_from(&live);
                let batch = delivery.batch();
                let text = serde_json::to_vec(&batch).unwrap();
                assert!(text.len() <= MAX_BATCH_BYTES, "{}", text.len());
                assert!(batch.observations.len() <= MAX_OBSERVATIONS);
                assert!(batch.chains.len() <= MAX_CHAINS);
                assert!(batch.refusals.unwrap().len() <= MAX_REFUSALS);
                assert!(batch.refused_by.unwrap().len() <= MAX_REFUSED_BY);
                assert_eq!(batch.chains.len(), batch.observations.len());
            }
            assert_eq!((rows, pending.chain_bytes), (number, 0));
        }
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let (small, large) = (chain(1, 1), chain(1, MAX_BYTES));
        let mut pending = Pending::new(usize::MAX);
        let (subject, _) = count_key(0, &small);
        for day in 0..=u64::try_from(MAX_ENTRIES).unwrap() {
            pending.insert((subject.clone(), day), COUNTS, &small);
        }
        assert_eq!(pending.entries.len(), MAX_ENTRIES);
        let mut pending = Pending::new(usize::MAX);
        for number in 0..=MAX_CHAIN_BYTES / MAX_BYTES {
            pending.insert(count_key(number, &large), COUNTS, &large);
        }
        assert_eq!(pending.chain_bytes, MAX_CHAIN_BYTES);
        // What is there already still counts.
        let more = Counts {
            requests: 0,
            ..COUNTS
        };
        pending.insert(count_key(0, &large), more, &large);
        assert_eq!(pending.chain_bytes, MAX_CHAIN_BYTES);
    }

    #[test]
    fn one_organization_leaves_room_for_the_others() {
        let (small, large) = (chain(1, 1), chain(1, MAX_BYTES));
        let day = |organization: usize, day, chain| {
            let (subject, _) = count_key(organization, chain);
            (subject, day)
        };
        let mut pending = Pending::new(3);
        for number in 0..10 {
            pending.insert(day(1, number, &small), COUNTS, &small);
        }
        assert_eq!(pending.entries.len(), 3);
        pending.insert(day(2, 0, &small), COUNTS, &small);
        assert_eq!(pending.entries.len(), 4);
        assert_eq!(pending.next(0).len(), 4);
        pending.insert(day(1, 0, &small), COUNTS, &small);
        assert_eq!(pending.entries.len(), 1, "there is room again");

        let mut pending = Pending::new(usize::MAX);
        for number in 0..2_000 {
            pending.insert(day(1, number, &large), COUNTS, &large);
        }
        assert_eq!(pending.chain_bytes, MAX_CHAIN_BYTES / 4);
    }
}
