//! Why an upload is refused, and what to do about it.

use countersign_types::error::ErrorCode;

/// Why an upload is refused. The message quotes nothing of the upload but names, so that a private
/// key pasted by mistake goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// `mtls_certificate_invalid` or `expired_certificate`.
    pub code: ErrorCode,
    /// What is wrong and what to do, in full sentences.
    pub message: String,
}

impl Rejection {
    /// An upload that is no trust anchor: what is wrong, and the remedy.
    pub(super) fn invalid(wrong: impl AsRef<str>, remedy: &str) -> Self {
        Self {
            code: ErrorCode::MtlsCertificateInvalid,
            message: format!("{} {remedy}", wrong.as_ref()),
        }
    }

    /// A trust anchor at the end of its validity.
    pub(super) fn expired(wrong: &str) -> Self {
        Self {
            code: ErrorCode::ExpiredCertificate,
            message: format!("{wrong} Upload the CA certificate that replaces it."),
        }
    }
}
