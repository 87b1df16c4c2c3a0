//! What gateways saw: batches are taken in, whole and once.

use countersign_types::observation::{
    MAX_CHAINS, MAX_OBSERVATIONS, ObservationBatch, ObservationReceipt, ObservedChain,
};
use countersign_verify::presented;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    answer::Answer,
    body::{Fields, wrong_type},
    call::Call,
    error::ApiError,
    operation::Answered,
};
use crate::{
    metrics::{OBSERVATIONS_REFUSED, OBSERVED_REQUESTS},
    store::{ReceivedChain, RecordedBatch},
};

/// Keeps a batch. It is no change of an organization: there is no revision and no audit event.
pub(super) async fn record(mut call: Call) -> Answered {
    let batch = read(&mut call.fields)?;
    let mut chains = Vec::with_capacity(batch.chains.len());
    for chain in &batch.chains {
        chains.push(ReceivedChain::new(chain));
        // Reading a thousand certificates takes a while; others have requests too.
        tokio::task::yield_now().await;
    }
    let store = call.app.store();
    let days = call.app.observation_days();
    let recorded = store.record_observations(&batch, &chains, days).await?;
    count(&recorded);
    Answer::read(&ObservationReceipt {
        accepted: recorded.accepted,
        refused: recorded.refused.values().sum(),
        unknown_chains: recorded.unknown_chains,
    })
}

fn count(recorded: &RecordedBatch) {
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

fn read(fields: &mut Fields) -> Result<ObservationBatch, ApiError> {
    let gateway = fields.text("gateway")?;
    let gateway = gateway.ok_or_else(|| ApiError::missing("gateway"))?;
    let batch = ObservationBatch {
        gateway: gateway.parse().map_err(|_| {
            ApiError::value(
                "gateway",
                "`gateway` must be an id of the form `gw_…`, drawn at random.",
            )
        })?,
        number: number(fields)?,
        chains: array(fields, "chains", MAX_CHAINS)?,
        observations: array(fields, "observations", MAX_OBSERVATIONS)?,
    };
    for (at, chain) in batch.chains.iter().enumerate() {
        check_chain(at, chain)?;
    }
    Ok(batch)
}

fn number(fields: &mut Fields) -> Result<u64, ApiError> {
    let number = fields
        .take("number")
        .ok_or_else(|| ApiError::missing("number"))?;
    let fits = |number: &u64| (1..=i64::MAX.unsigned_abs()).contains(number);
    number.as_u64().filter(fits).ok_or_else(|| {
        ApiError::value(
            "number",
            "`number` must be a whole number, 1 for a gateway's first batch.",
        )
    })
}

/// Each entry is named in its refusal, and nothing of it is repeated there.
fn array<T: DeserializeOwned>(
    fields: &mut Fields,
    param: &'static str,
    limit: usize,
) -> Result<Vec<T>, ApiError> {
    let entries = match fields.take(param) {
        None => return Err(ApiError::missing(param)),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(wrong_type(param, "an array", &other)),
    };
    if entries.len() > limit {
        let message = format!("`{param}` has more than {limit} entries. Send several batches.");
        return Err(ApiError::value(param, message));
    }
    let entry = |(at, entry)| {
        serde_json::from_value(entry).map_err(|_| {
            let param = format!("{param}[{at}]");
            let message =
                format!("`{param}` is not as it must be. `GET /openapi.json` says what it holds.");
            ApiError::value(param, message)
        })
    };
    entries.into_iter().enumerate().map(entry).collect()
}

/// A chain is no longer than a handshake brings and the judge looks at.
fn check_chain(at: usize, chain: &ObservedChain) -> Result<(), ApiError> {
    let certificates = &chain.certificates;
    let bytes: usize = certificates.iter().map(|der| der.0.len()).sum();
    let number = 1..=presented::MAX_CERTIFICATES;
    if number.contains(&certificates.len()) && bytes <= presented::MAX_BYTES {
        return Ok(());
    }
    let param = format!("chains[{at}].certificates");
    let message = format!(
        "`{param}` must hold 1 to {} certificates of at most {} bytes together.",
        presented::MAX_CERTIFICATES,
        presented::MAX_BYTES
    );
    Err(ApiError::value(param, message))
}
