//! What a server's refusal means to whoever runs the forwarder, and what to do.

use countersign_types::error::ErrorCode;

/// The meaning of a refusal by its code; none for codes that are not about who is calling.
#[must_use]
pub const fn meaning(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::CertificateRequired => {
            "the server wants a client certificate and got none: is there something between here and it that ends TLS?"
        }
        ErrorCode::InvalidCertificate => {
            "the server cannot use the client certificate: it cannot be read, or has no Authority Key Identifier"
        }
        ErrorCode::CertificateVerificationFailed => {
            "the client certificate is from no CA that is active for this key's project, or has expired, or an intermediate is missing in its file"
        }
        ErrorCode::CertificateAttributeVerificationFailed => {
            "the client certificate verifies, but the policy of its CA does not accept its names or attributes"
        }
        ErrorCode::AuthenticationTemporarilyUnavailable => {
            "the server cannot check the client certificate at present; try again"
        }
        ErrorCode::InvalidApiKey => {
            "the server does not know the API key, or got none; the certificate was not looked at"
        }
        ErrorCode::MissingScope => "the API key may not do this",
        ErrorCode::ProjectArchived => "the API key's project is archived",
        _ => return None,
    })
}
