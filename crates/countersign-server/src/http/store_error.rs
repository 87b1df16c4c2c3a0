//! What a client gets when the store refuses or fails.

use countersign_types::{
    certificate::{MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    crl::MAX_CRLS_PER_CERTIFICATE,
    error::ErrorCode,
    id::RotationId,
};

use super::error::ApiError;
use crate::{
    preview::TrialError,
    store::{Kind, Outage, Quota, RotationProblem, StoreError},
};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { kind, .. } => Self::no_such(noun(kind)),
            StoreError::UnknownCursor(_) => Self::unknown_cursor("after"),
            StoreError::CertificateInUse { scopes } => in_use(&scopes),
            StoreError::CertificateLimit => limit_reached(),
            StoreError::ReceiptKeyLimit => Self::new(ErrorCode::LimitExceeded, error.to_string()),
            StoreError::QuotaReached { quota, most } => quota_reached(quota, most),
            StoreError::Expired { index } => expired(index),
            StoreError::ScopeChanged => scope_changed(),
            StoreError::NotActive { index } => not_active(index),
            StoreError::RotationInProgress { id } => rotation_in_progress(&id),
            StoreError::RotationEnded => rotation_ended(),
            StoreError::RotationBroken { problems } => rotation_broken(&problems),
            StoreError::WouldDisarm { scope } => would_disarm(&scope),
            StoreError::ProjectArchived => archived(),
            StoreError::NameTaken => name_taken(),
            StoreError::CrlRefused(rejection) => rejection.into(),
            StoreError::CrlLimit => crl_limit_reached(),
            StoreError::KeyRevoked => Self::invalid_key(
                "This API key was deleted or expired while the request was in progress.",
            ),
            StoreError::Unavailable(outage, _) => {
                Self::storage_unavailable(outage_message(outage), error.to_string())
            }
            StoreError::TooNew { .. } => Self::storage_unavailable(
                "A newer version of this program has brought the server's database up to date, and this \
                 process is an older one. Try again, at another node; the operator must replace this one.",
                error.to_string(),
            ),
            // A handler that changes trust and does not have it judged.
            StoreError::Unjudged(_)
            | StoreError::Configuration(_)
            | StoreError::Corrupt(_)
            | StoreError::Internal(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<TrialError> for ApiError {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Store(error) => error.into(),
            TrialError::Incomplete(_) => Self::internal(error.to_string()),
        }
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Organization => "organization",
        Kind::Project => "project",
        Kind::Certificate => "certificate",
        Kind::ServiceAccount => "service account",
        Kind::ApiKey => "API key",
        Kind::Rotation => "rotation",
        Kind::Webhook => "webhook",
        Kind::Gateway => "gateway",
        Kind::Assertion => "assertion",
        Kind::Denial => "denial",
        Kind::Crl => "CRL",
        Kind::RevokedSet => "set of serial numbers",
        Kind::WorkloadIdentityProvider => "workload identity provider",
        Kind::FederationRule => "federation rule",
        Kind::ReceiptKey => "receipt key",
    }
}

/// What a caller is told of an outage: whether to try again, or whom to tell.
pub(super) const fn outage_message(outage: Outage) -> &'static str {
    match outage {
        Outage::DiskFull => {
            "The disk of the server's database is full, so nothing was changed. Tell the server's \
             operator: it works again once there is space."
        }
        Outage::ReadOnly => {
            "The server's database cannot be written, so nothing was changed. Tell the server's \
             operator."
        }
        Outage::InputOutput => {
            "The disk of the server's database failed, or is full. Tell the server's operator."
        }
        Outage::Busy => "The database is busy. Try again in a moment.",
        Outage::Disconnected => "The database cannot be reached. Try again in a moment.",
    }
}

fn in_use(scopes: &[Scope]) -> ApiError {
    let named: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    let message = format!(
        "The certificate is active for {}. Deactivate it there, then delete it.",
        named.join(", ")
    );
    ApiError::new(ErrorCode::CertificateInUse, message)
}

fn limit_reached() -> ApiError {
    let message = format!(
        "The organization already has {MAX_CERTIFICATES_PER_ORGANIZATION} certificates, the \
         maximum. Delete one that is not in use, then upload again."
    );
    ApiError::new(ErrorCode::CertificateLimitExceeded, message)
}

fn crl_limit_reached() -> ApiError {
    let message = format!(
        "The certificate already has the revocation lists of {MAX_CRLS_PER_CERTIFICATE} CAs, the maximum. Delete \
         one that is not needed, then add this one again."
    );
    ApiError::new(ErrorCode::LimitExceeded, message)
}

fn quota_reached(quota: Quota, most: u32) -> ApiError {
    let advice = match quota {
        Quota::Denials => "Those that have expired count too: delete them",
        Quota::Projects => "Archived projects count too: use one that exists",
        Quota::ApiKeys
        | Quota::ServiceAccounts
        | Quota::Webhooks
        | Quota::Assertions
        | Quota::WorkloadIdentityProviders
        | Quota::FederationRules => "Delete some that are not used",
    };
    let whose = match quota {
        Quota::FederationRules => "workload identity provider",
        _ => "organization",
    };
    let message = format!(
        "The {whose} already has {most} {quota}, the maximum. {advice}, or ask the operator of \
         this server to raise `{}`.",
        quota.setting()
    );
    ApiError::new(ErrorCode::LimitExceeded, message)
}

fn expired(index: usize) -> ApiError {
    ApiError::new(
        ErrorCode::ExpiredCertificate,
        "An expired certificate cannot be activated. Upload its successor and activate that; \
         nothing was changed.",
    )
    .at(format!("certificate_ids[{index}]"))
}

fn scope_changed() -> ApiError {
    ApiError::new(
        ErrorCode::ScopeChanged,
        "What is active here is not what `expected` says: it changed in the meantime. Read it \
         again and decide again; nothing was changed.",
    )
    .at("expected")
}

fn not_active(index: Option<usize>) -> ApiError {
    let (param, message) = match index {
        Some(index) => (
            format!("project_ids[{index}]"),
            "The old certificate is not active at this project, so it cannot be rotated there. \
             Name projects where it is active, or leave `project_ids` out for all of them.",
        ),
        None => (
            "old_certificate_id".to_owned(),
            "The old certificate is active nowhere, so there is nothing to rotate. Activate the \
             new one with `activate`.",
        ),
    };
    ApiError::value(param, message)
}

fn rotation_in_progress(id: &RotationId) -> ApiError {
    let message = format!(
        "Rotation `{id}` of one of these certificates is in progress. Finish or abort it first."
    );
    ApiError::new(ErrorCode::RotationInProgress, message)
}

fn rotation_ended() -> ApiError {
    ApiError::new(
        ErrorCode::RotationEnded,
        "The rotation has already ended the other way. Start another one.",
    )
}

fn rotation_broken(problems: &[RotationProblem]) -> ApiError {
    let messages: Vec<String> = problems.iter().map(problem).collect();
    ApiError::new(ErrorCode::RotationNotReady, messages.join(" "))
}

fn would_disarm(scope: &Scope) -> ApiError {
    let message = format!(
        "Without the new certificate nothing would be enforced for {}. Activate another one there, \
         or send `\"force\": true`.",
        scope
    );
    ApiError::new(ErrorCode::RotationNotReady, message)
}

/// What prevents a rotation from ending, and what to do.
pub(super) fn problem(problem: &RotationProblem) -> String {
    match problem {
        RotationProblem::OldDeleted => {
            "The old certificate was deleted: abort the rotation, or finish it with \
             `\"force\": true` to keep the new one."
                .to_owned()
        }
        RotationProblem::NewDeleted => {
            "The new certificate was deleted: abort the rotation.".to_owned()
        }
        RotationProblem::NewExpired => {
            "The new certificate is expired: abort the rotation, and start one to its successor."
                .to_owned()
        }
        RotationProblem::OldNotActive(scope) => format!(
            "The old certificate was deactivated for {}: abort the rotation, or finish it with \
             `\"force\": true` to keep the new one.",
            scope
        ),
        RotationProblem::NewNotActive(scope) => format!(
            "The new certificate was deactivated for {}: activate it there again, or abort the \
             rotation.",
            scope
        ),
    }
}

fn name_taken() -> ApiError {
    let message = "Another assertion of the organization has this name. Give another name.";
    ApiError::value("name", message)
}

fn archived() -> ApiError {
    ApiError::new(
        ErrorCode::ProjectArchived,
        "The project is archived: nothing can be activated or created in it. Use another project.",
    )
}
