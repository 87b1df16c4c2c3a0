//! Whether a request may pass: who is calling, and the verdict on the connection's chain.

use std::sync::Arc;

use countersign_types::{error::ErrorCode, id::OrganizationId};

use http::HeaderValue;

use crate::{
    access_log::record::Record,
    caller::{credential::Credential, identity::Identity},
    connection::{Arrival, Connection, NotAuthorized},
    options::{IdentitySource, ReceiptPlace},
    refusal::refused::Refusal,
    shared::Shared,
    shares::StreamPlace,
    verdict::{authorization::Authorization, outcome::Outcome},
};

/// A request that passes.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) identity: Arc<Identity>,
    pub(crate) authorization: Arc<Authorization>,
    /// Its place among its organization's requests, if it just arrived.
    pub(crate) place: Option<StreamPlace>,
    /// What the upstream is shown of the verdict.
    pub(crate) receipt: Option<HeaderValue>,
}

/// How the caller is looked up, by the values of a request's `authorization` headers. The control plane
/// knows only keys: a request to it is judged by its key, even where all other requests belong to one
/// project.
pub(crate) fn credential<'a>(
    shared: &Shared,
    connection: &Connection,
    is_management: impl FnOnce() -> bool,
    keys: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Credential, Refusal> {
    match &shared.options.identity {
        IdentitySource::FixedProject(project) if !is_management() => {
            Ok(Credential::FixedProject(project.clone()))
        }
        _ => connection
            .last_credential
            .read(keys, |key| shared.token(key))
            .ok_or_else(|| Refusal::new(ErrorCode::InvalidApiKey, "the request has no bearer key")),
    }
}

/// Judges a request under what is enforced now. One that just arrived is counted, and takes of its
/// organization's share; without an arrival, what is under way is judged again.
pub(crate) fn admit(
    shared: &Shared,
    connection: &Connection,
    credential: &Credential,
    record: &mut Record,
    arrival: Option<&Arrival<'_>>,
) -> Result<Admission, Refusal> {
    let now = shared.now();
    if let Some(reason) = shared.too_old(now) {
        let code = ErrorCode::AuthenticationTemporarilyUnavailable;
        return Err(Refusal::new(code, reason));
    }
    let snapshot = shared.snapshot.load();
    let caller = snapshot.caller(credential, now).ok_or_else(|| {
        Refusal::new(
            ErrorCode::InvalidApiKey,
            "the API key is unknown, expired, or of an archived project",
        )
    })?;
    record.set_identity(caller.identity);
    if shared.receipts.initialized() {
        record.set_judged_under(caller.organization);
    }
    let passed = connection
        .authorize(caller, now, arrival)
        .map_err(|refused| match refused {
            NotAuthorized::Exceeded(exceeded) => Refusal::from(exceeded),
            NotAuthorized::Refused(refused) => {
                if let Some(observer) = arrival.and_then(|arrival| arrival.observer) {
                    let outcome =
                        Outcome::refused(&refused.refusal, refused.report_only.as_deref());
                    connection.count_refused(caller.identity, outcome, now, observer);
                }
                record.set_report_only(refused.report_only.clone());
                Refusal::from(refused)
            }
        })?;
    Ok(Admission {
        identity: Arc::clone(caller.identity),
        authorization: passed.authorization,
        place: passed.place,
        receipt: None,
    })
}

/// Makes the receipt of a verdict, where one is to be given: of a request that passes as its upstream is to
/// be shown it and as it is logged, of one that is refused only as it is logged.
pub(crate) fn give_receipt(
    shared: &Shared,
    places: &[ReceiptPlace],
    connection: &Connection,
    verdict: Result<&mut Admission, &Refusal>,
    record: &mut Record,
) {
    // Kept no longer than this: a request may last for hours.
    let judged_under = record.take_judged_under();
    let wanted = |place| places.contains(&place);
    let (Some(receipts), Some(organization)) = (shared.receipts.get(), judged_under) else {
        return;
    };
    let now = shared.now();
    match verdict {
        Ok(admission) if !places.is_empty() => {
            let authorization = &admission.authorization;
            let receipt = receipts.of_passed(record, &organization, authorization, now);
            if wanted(ReceiptPlace::Log) {
                record.set_receipt(receipt.clone());
            }
            admission.receipt = receipt.filter(|_| wanted(ReceiptPlace::Header));
        }
        Err(refusal) if wanted(ReceiptPlace::Log) => {
            let receipt = receipts.of_refused(record, &organization, (refusal, connection), now);
            record.set_receipt(receipt);
        }
        _ => {}
    }
}

/// The organization whose trust a chain must be judged under for [`admit`] to decide; none if a look
/// into memory is enough.
pub(crate) fn must_judge(
    shared: &Shared,
    connection: &Connection,
    credential: &Credential,
) -> Option<OrganizationId> {
    let now = shared.now();
    if shared.too_old(now).is_some() {
        return None;
    }
    let snapshot = shared.snapshot.load();
    let caller = snapshot.caller(credential, now)?;
    let known = connection.remembers(caller, now);
    (!known).then(|| caller.identity.organization.clone())
}
