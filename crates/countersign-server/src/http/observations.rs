//! What gateways observed: batches are applied whole, and once.

use countersign_types::{
    live_streams::{LiveReport, MAX_LIVE_WORKLOADS},
    observation::{
        MAX_BATCH_BYTES, MAX_CHAINS, MAX_OBSERVATIONS, ObservationBatch, ObservationReceipt,
        ObservedChain,
    },
    refusal::{MAX_REFUSALS, MAX_SUBJECT_BYTES, RefusalSummary},
    refused_by::MAX_REFUSED_BY,
};
use countersign_verify::presented;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::{
    answer::{self, Answer},
    app::App,
    body::{Body, RequestBody},
    caller::Gateway,
    error::ApiError,
    unreadable::Unreadable,
};
use crate::{
    metrics::{OBSERVATIONS_REFUSED, OBSERVED_REQUESTS},
    store::{NotKept, Reach, ReceivedChain, RecordedBatch},
};

/// Keeps a batch. It changes no organization: there is no revision and no audit event.
pub(super) async fn record(
    gateway: Gateway,
    app: App,
    Body(mut batch): Body<ObservationBatch>,
) -> Answer<ObservationReceipt> {
    let foreign = leave_out_foreign(&mut batch, &gateway.reach);
    let mut chains = Vec::with_capacity(batch.chains.len());
    for chain in &batch.chains {
        chains.push(ReceivedChain::new(chain));
        // Reading a thousand certificates takes a while: let other requests run in between.
        tokio::task::yield_now().await;
    }
    let days = app.observation_days();
    let mut recorded = app
        .store()
        .record_observations(&batch, &chains, days)
        .await?;
    if let Some(live) = batch
        .live
        .as_ref()
        .filter(|_| recorded.unknown_chains.is_empty())
    {
        app.store()
            .record_live_streams(live, &gateway.reach)
            .await?;
    }
    if foreign > 0 {
        *recorded.refused.entry(NotKept::Foreign).or_default() += foreign;
    }
    count(&recorded);
    answer::read(&ObservationReceipt {
        accepted: recorded.accepted,
        refused: recorded.refused.values().sum(),
        unknown_chains: recorded.unknown_chains,
        refusals: batch.refusals.map(|_| recorded.refusals),
    })
}

/// Leaves out what is of organizations that the gateway's key does not reach, and returns how many
/// observations that were.
fn leave_out_foreign(batch: &mut ObservationBatch, reach: &Reach) -> u64 {
    if *reach == Reach::All {
        return 0;
    }
    let before = batch.observations.len();
    batch
        .observations
        .retain(|each| reach.includes(&each.organization));
    batch
        .chains
        .retain(|each| reach.includes(&each.organization));
    if let Some(refusals) = &mut batch.refusals {
        refusals.retain(|each| reach.includes(&each.organization));
    }
    if let Some(refused_by) = &mut batch.refused_by {
        refused_by.retain(|each| reach.includes(&each.organization));
    }
    u64::try_from(before - batch.observations.len()).unwrap_or(u64::MAX)
}

fn count(recorded: &RecordedBatch) {
    // Nothing of the batch was applied: the gateway sends it again.
    if !recorded.unknown_chains.is_empty() {
        return;
    }
    metrics::counter!(OBSERVED_REQUESTS).increment(recorded.requests);
    for (reason, number) in &recorded.refused {
        metrics::counter!(OBSERVATIONS_REFUSED, "reason" => reason.as_str()).increment(*number);
    }
    if !recorded.refused.is_empty() {
        tracing::warn!(refused = ?recorded.refused, "observations of a gateway were not kept");
    }
}

impl RequestBody for ObservationBatch {
    const MAX_BYTES: usize = MAX_BATCH_BYTES;

    /// The number is checked first, so that a list that is too long is not read.
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        for (param, limit) in [
            ("chains", MAX_CHAINS),
            ("observations", MAX_OBSERVATIONS),
            ("refusals", MAX_REFUSALS),
            ("refused_by", MAX_REFUSED_BY),
        ] {
            let Some(Value::Array(entries)) = properties.get(param) else {
                continue;
            };
            if entries.len() > limit {
                let message =
                    format!("`{param}` has more than {limit} entries. Send several batches.");
                return Err(ApiError::value(param, message));
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ApiError> {
        if !(1..=i64::MAX.unsigned_abs()).contains(&self.number) {
            return Err(ApiError::value(
                "number",
                "`number` must be a whole number, 1 for a gateway's first batch.",
            ));
        }
        let mut chains = self.chains.iter().enumerate();
        chains.try_for_each(|(place, chain)| check_chain(place, chain))?;
        check_live(self.live.as_ref())?;
        let mut refusals = self.refusals.iter().flatten().enumerate();
        refusals.try_for_each(|(place, refusal)| check_subject(place, refusal))
    }

    /// Names the entry and not its property: a gateway is a program, and sends such an entry only
    /// by a defect. An id here is not looked up, so a malformed one is not answered as unknown.
    fn refuse(place: &Path, why: Unreadable) -> ApiError {
        let mut place = place.iter();
        let list = match (place.next(), place.next()) {
            (Some(Segment::Map { key }), Some(Segment::Seq { index })) => format!("{key}[{index}]"),
            (Some(Segment::Map { key }), _) if key == "gateway" => {
                return ApiError::value(
                    "gateway",
                    "`gateway` must be an id of the form `gw_…`, drawn at random.",
                );
            }
            (Some(Segment::Map { key }), _) => return why.at(key.clone()),
            _ => return why.at(String::new()),
        };
        Unreadable::Other.at(list)
    }
}

/// A gateway names no more workloads than this, and each organization once.
fn check_live(live: Option<&LiveReport>) -> Result<(), ApiError> {
    let organizations = live.map_or(&[][..], |live| &live.organizations);
    let workloads: usize = organizations.iter().map(|each| each.workloads.len()).sum();
    let most = MAX_LIVE_WORKLOADS;
    if organizations.len() <= most && workloads <= most {
        return Ok(());
    }
    let message = format!("`live` must name at most {most} organizations and {most} workloads.");
    Err(ApiError::value("live", message))
}

/// A gateway sends no more of a subject than is kept.
fn check_subject(place: usize, refusal: &RefusalSummary) -> Result<(), ApiError> {
    let leaf = refusal.leaf.as_ref();
    if leaf.is_none_or(|leaf| leaf.subject.len() <= MAX_SUBJECT_BYTES) {
        return Ok(());
    }
    let param = format!("refusals[{place}].leaf.subject");
    let message = format!("`{param}` must have at most {MAX_SUBJECT_BYTES} bytes.");
    Err(ApiError::value(param, message))
}

/// A chain is no longer than what a handshake brings and a verdict takes into account.
fn check_chain(place: usize, chain: &ObservedChain) -> Result<(), ApiError> {
    let certificates = &chain.certificates;
    let bytes: usize = certificates.iter().map(|der| der.0.len()).sum();
    let number = 1..=presented::MAX_CERTIFICATES;
    if number.contains(&certificates.len()) && bytes <= presented::MAX_BYTES {
        return Ok(());
    }
    let param = format!("chains[{place}].certificates");
    let message = format!(
        "`{param}` must hold 1 to {} certificates of at most {} bytes together.",
        presented::MAX_CERTIFICATES,
        presented::MAX_BYTES
    );
    Err(ApiError::value(param, message))
}
