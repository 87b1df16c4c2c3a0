//! Whether an exchange is worth a question to the control plane: the chain verifies, under what is enforced here,
//! with an anchor of the project that the token would be for. Whoever has any certificate may ask for an exchange,
//! and only the gateway can bear as many as may ask.

use std::{pin::pin, time::Instant};

use countersign_types::{
    digest::Sha256,
    error::ErrorCode,
    id::{OrganizationId, ServiceAccountId, WorkloadIdentityProviderId},
    token::TokenError,
};
use tokio::time::timeout;

use super::{
    request::Wanted,
    serving::{KNOWN_WITHIN, Refused, Serving},
};
use crate::{caller::identity::Caller, connection::Arrival, refusal::refused::Refusal};

/// Whose exchange it is.
pub(super) struct Verified {
    pub(super) organization: OrganizationId,
    pub(super) leaf: Sha256,
}

/// Judges the chain of an exchange as one of a request of the project. A rule may be younger than what this
/// gateway knows: then it is waited for.
pub(super) async fn verify(serving: &Serving<'_>, wanted: &Wanted) -> Result<Verified, Refused> {
    let grant = |reason: &str| (TokenError::InvalidGrant, reason.to_owned());
    let provider: WorkloadIdentityProviderId = wanted
        .identity_provider_id
        .parse()
        .map_err(|_| grant("no such workload identity provider"))?;
    let account: ServiceAccountId = wanted
        .service_account_id
        .parse()
        .map_err(|_| grant("no such service account"))?;
    let shared = serving.shared;
    if let Some(reason) = shared.too_old(shared.now()) {
        return Err((TokenError::TokenExchangeServerError, reason));
    }
    if let Some(judged) = judge(serving, &provider, &account) {
        return judged;
    }
    let unknown = || grant("no rule of this provider for this service account is in force");
    let waiting = shared.exchange_places.wait_for_rule();
    let _waiting = waiting.ok_or_else(unknown)?;
    let known = async {
        loop {
            let mut changed = pin!(shared.enforced_changed.notified());
            changed.as_mut().enable();
            if let Some(judged) = judge(serving, &provider, &account) {
                return judged;
            }
            changed.await;
        }
    };
    timeout(KNOWN_WITHIN, known)
        .await
        .unwrap_or_else(|_| Err(unknown()))
}

/// The verdict, if a rule of the provider for the service account is in force.
fn judge(
    serving: &Serving<'_>,
    provider: &WorkloadIdentityProviderId,
    account: &ServiceAccountId,
) -> Option<Result<Verified, Refused>> {
    let snapshot = serving.shared.snapshot.load();
    let caller = snapshot.admitting(provider, account)?;
    Some(judge_for(serving, caller))
}

fn judge_for(serving: &Serving<'_>, caller: Caller<'_>) -> Result<Verified, Refused> {
    let (shared, connection) = (serving.shared, serving.connection);
    let arrival = Arrival {
        observer: None,
        shares: &shared.exchange_shares,
        thread: serving.thread,
        takes_place: false,
        clock: &Instant::now,
    };
    let judged = connection.find_verdict(caller, shared.now(), Some(&arrival));
    let judged = judged.map_err(|why| (TokenError::TokenExchangeServerError, why.to_string()))?;
    let authorization = judged.map_err(|refused| {
        let refusal = Refusal::from(refused);
        let error = match refusal.code {
            ErrorCode::AuthenticationTemporarilyUnavailable => TokenError::TokenExchangeServerError,
            _ => TokenError::InvalidSubjectToken,
        };
        (
            error,
            format!("{}: {}", refusal.code.as_str(), refusal.reason),
        )
    })?;
    match authorization.permit() {
        Some(permit) => Ok(Verified {
            organization: caller.organization.id().clone(),
            leaf: permit.leaf_sha256(),
        }),
        None => {
            let reason = "no trust anchor is enforced for the project or the organization";
            Err((TokenError::InvalidGrant, reason.to_owned()))
        }
    }
}
