//! The table of all error codes: code, type and HTTP status (docs/specification.md, section 1,
//! "Errors").

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal;)*) => {
        /// A documented error code. Every refused request has one of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of `error.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// The key is missing or unknown.
    InvalidApiKey = "invalid_api_key", 401;
    /// The key lacks a permission.
    MissingScope = "missing_scope", 403;
    /// An unknown id, an id of another organization, or an unknown path.
    NotFound = "not_found", 404;
    /// The uploaded certificate cannot be a trust anchor.
    MtlsCertificateInvalid = "mtls_certificate_invalid", 400;
    /// The certificate is expired or about to be.
    ExpiredCertificate = "expired_certificate", 400;
    /// The CEL policy cannot be accepted.
    MtlsCelPolicyInvalid = "mtls_cel_policy_invalid", 400;
    /// The certificate is active at some scope, so it cannot be deleted.
    CertificateInUse = "certificate_in_use", 400;
    /// The organization holds as many certificates as it may.
    CertificateLimitExceeded = "certificate_limit_exceeded", 400;
    /// The organization has as many of something as it may have.
    LimitExceeded = "limit_exceeded", 400;
    /// The project is archived.
    ProjectArchived = "project_archived", 400;
    /// What is active at the scope is not what the caller expected.
    ScopeChanged = "scope_changed", 400;
    /// One of the certificates is already being rotated.
    RotationInProgress = "rotation_in_progress", 400;
    /// The rotation already ended: it was finished instead of aborted, or the reverse.
    RotationEnded = "rotation_ended", 400;
    /// Ending the rotation now would refuse workloads, or too little is known about them.
    RotationNotReady = "rotation_not_ready", 400;
    /// The change would break an assertion that holds.
    AssertionFailed = "assertion_failed", 400;
    /// An active anchor applies and no client certificate was presented.
    CertificateRequired = "certificate_required", 401;
    /// The leaf cannot be parsed, or has no Authority Key Identifier.
    InvalidCertificate = "invalid_certificate", 401;
    /// No path from the presented chain to an active anchor.
    CertificateVerificationFailed = "certificate_verification_failed", 401;
    /// The path verified, but the anchor's policy refused the leaf.
    CertificateAttributeVerificationFailed = "certificate_attribute_verification_failed", 403;
    /// The gateway cannot judge the request at present.
    AuthenticationTemporarilyUnavailable = "authentication_temporarily_unavailable", 503;
    /// The body is not JSON.
    InvalidJson = "invalid_json", 400;
    /// A value is not allowed.
    InvalidValue = "invalid_value", 400;
    /// A required property is missing.
    MissingRequiredParameter = "missing_required_parameter", 400;
    /// A property is not supported here.
    UnsupportedParameter = "unsupported_parameter", 400;
    /// The request is not valid HTTP for this server.
    BadRequest = "bad_request", 400;
    /// The path does not support the method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The client took too long to send its request.
    RequestTimeout = "request_timeout", 408;
    /// The body is too large.
    RequestTooLarge = "request_too_large", 413;
    /// The body's media type is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The request's headers are too large.
    HeadersTooLarge = "headers_too_large", 431;
    /// Internal error; the log has the reason under the request id.
    ServerError = "server_error", 500;
    /// The upstream could not be reached or sent an invalid response.
    UpstreamUnavailable = "upstream_unavailable", 502;
    /// The database cannot be read or written at present.
    StorageUnavailable = "storage_unavailable", 503;
    /// The process has too many requests at once.
    Overloaded = "overloaded", 503;
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504;
}

impl ErrorCode {
    /// The `error.type` that goes with it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            403 => "permission_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// Seconds for the `Retry-After` header, for codes where a retry may succeed.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self.status() {
            503 => Some(1),
            _ => None,
        }
    }

    /// The code with that name, if there is one.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == code)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("an unknown error code"))
    }
}

/// The body of every error: `{"error": {...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorResponse {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for people (`message`) and for programs (`code`, `param`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What is wrong and what to do.
    pub message: String,
    /// The type of the error, which several codes share.
    #[serde(rename = "type")]
    pub kind: String,
    /// The parameter at fault, if one is.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub param: Option<String>,
    /// One of the documented codes.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub code: Option<String>,
}

impl ErrorResponse {
    /// The body for a code.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, param: Option<String>) -> Self {
        Self {
            error: ErrorBody {
                message: message.into(),
                kind: code.kind().to_owned(),
                param,
                code: Some(code.as_str().to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod page;

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn no_code_is_a_409_which_clients_would_repeat() {
        for code in ErrorCode::ALL {
            assert_ne!(code.status(), 409, "{code:?}");
            assert_eq!(ErrorCode::from_code(code.as_str()), Some(*code));
        }
    }
}
