//! Whether a request may pass: who is calling, and the verdict on the connection's chain.

use std::sync::Arc;

use countersign_types::error::ErrorCode;

use crate::{
    caller::{credential::Credential, identity::Identity},
    connection::Connection,
    observing::tally::Observer,
    record::Record,
    refusal::refused::Refusal,
    shared::Shared,
    verdict::{authorization::Authorization, outcome::Outcome},
};

/// A request that passes.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) identity: Arc<Identity>,
    pub(crate) authorization: Arc<Authorization>,
}

/// Judges a request under what is enforced now. With an observer it is counted, as a request that
/// just arrived.
pub(crate) fn admit(
    shared: &Shared,
    connection: &Connection,
    credential: &Credential,
    record: &mut Record,
    observer: Option<&Observer>,
) -> Result<Admission, Refusal> {
    let now = shared.now();
    if let Some(reason) = shared.too_old(now) {
        let code = ErrorCode::AuthenticationTemporarilyUnavailable;
        return Err(Refusal::new(code, reason));
    }
    let snapshot = shared.snapshot.load();
    let identity = snapshot.identity(credential, now).ok_or_else(|| {
        Refusal::new(
            ErrorCode::InvalidApiKey,
            "the API key is unknown, expired, or of an archived project",
        )
    })?;
    record.set_identity(identity);
    let authorization = connection
        .authorize(identity, now, observer)
        .inspect_err(|denial| {
            let report_only = connection.report_only(identity, now);
            if let Some(observer) = observer {
                let outcome = Outcome::refused(denial, report_only.as_deref());
                connection.count_refused(identity, outcome, now, observer);
            }
            record.set_report_only(report_only);
        })?;
    Ok(Admission {
        identity: Arc::clone(identity),
        authorization,
    })
}
