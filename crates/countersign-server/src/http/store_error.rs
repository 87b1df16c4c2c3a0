//! What a client is told when the store did not do what it was asked.

use countersign_types::{
    certificate::{MAX_CERTIFICATES_PER_ORGANIZATION, Scope},
    error::ErrorCode,
};

use super::{error::ApiError, query::unknown_cursor};
use crate::store::{Kind, StoreError};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { kind, .. } => Self::no_such(noun(kind)),
            StoreError::UnknownCursor(_) => unknown_cursor("after"),
            StoreError::CertificateInUse { scopes } => in_use(&scopes),
            StoreError::CertificateLimit => limit_reached(),
            StoreError::Expired { index } => expired(index),
            StoreError::ScopeChanged => scope_changed(),
            StoreError::ProjectArchived => archived(),
            StoreError::KeyRevoked => Self::invalid_key(
                "This API key was deleted or expired while the request was on its way.",
            ),
            StoreError::Unavailable(..) => Self::storage_unavailable(error.to_string()),
            StoreError::Configuration(_)
            | StoreError::TooNew { .. }
            | StoreError::Corrupt(_)
            | StoreError::Internal(_) => Self::broken(error.to_string()),
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
    }
}

fn in_use(scopes: &[Scope]) -> ApiError {
    let named: Vec<_> = scopes
        .iter()
        .map(|scope| match scope {
            Scope::Organization => "the organization".to_owned(),
            Scope::Project(id) => format!("project `{id}`"),
        })
        .collect();
    let message = format!(
        "The certificate is active for {}. Deactivate it there, then delete it.",
        named.join(", ")
    );
    ApiError::new(ErrorCode::CertificateInUse, message)
}

fn limit_reached() -> ApiError {
    let message = format!(
        "The organization already has {MAX_CERTIFICATES_PER_ORGANIZATION} certificates, the most \
         that it may have. Delete one that is not in use, then upload again."
    );
    ApiError::new(ErrorCode::CertificateLimitExceeded, message)
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
        "What is active here is not what `expected` says: somebody changed it meanwhile. Read it \
         again and decide again; nothing was changed.",
    )
    .at("expected")
}

fn archived() -> ApiError {
    ApiError::new(
        ErrorCode::ProjectArchived,
        "The project is archived: nothing can be activated or made in it. Use another project.",
    )
}
