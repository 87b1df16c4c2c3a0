//! A request that does not pass, and the response to it. The client gets the code, a fixed
//! sentence and the request id; the operator gets the whole explanation.

use std::sync::Arc;

use bytes::Bytes;
use countersign_proxy::MalformedRequest;
use countersign_types::{
    error::{ErrorCode, ErrorResponse},
    id::RequestId,
};
use countersign_verify::refusal;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::{shares::Exceeded, verdict::refused_chain::RefusedChain};

/// Why a request does not pass.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// For the operator only.
    pub(crate) reason: String,
    /// The judge's findings, if it was the judge who refused.
    pub(crate) refused_chain: Option<Arc<RefusedChain>>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            refused_chain: None,
        }
    }

    /// The response to the client.
    pub(crate) fn envelope(&self, id: &RequestId) -> Response<Bytes> {
        let message = format!("{} The request id is {id}.", sentence(self.code));
        let envelope = ErrorResponse::new(self.code, message, None);
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.code.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Arc<RefusedChain>> for Refusal {
    fn from(refused_chain: Arc<RefusedChain>) -> Self {
        let reason = refused_chain
            .reason
            .get_or_init(|| findings(&refused_chain.refusal));
        Self {
            code: refused_chain.refusal.code(),
            reason: reason.clone(),
            refused_chain: Some(refused_chain),
        }
    }
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let code = match exceeded {
            Exceeded::Verification => ErrorCode::AuthenticationTemporarilyUnavailable,
            Exceeded::Streams | Exceeded::Connections => ErrorCode::Overloaded,
        };
        Self::new(code, exceeded.to_string())
    }
}

impl From<MalformedRequest> for Refusal {
    fn from(error: MalformedRequest) -> Self {
        let code = match error {
            MalformedRequest::Method(_) => ErrorCode::MethodNotAllowed,
            MalformedRequest::Ambiguous(_) | MalformedRequest::Head(_) => ErrorCode::BadRequest,
        };
        Self::new(code, error.to_string())
    }
}

/// The judge's findings in one line.
pub(super) fn findings(refusal: &refusal::Refusal) -> String {
    let findings: Vec<String> = refusal
        .trace()
        .iter()
        .map(|finding| match &finding.anchor {
            Some((anchor, _)) => format!("{anchor}: {finding}"),
            None => finding.to_string(),
        })
        .collect();
    findings.join("; ")
}

/// The message for the client. It never says which anchors are active.
const fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidApiKey => {
            "No valid API key was given. Send a key of the project as `Authorization: Bearer KEY`."
        }
        ErrorCode::CertificateRequired => {
            "This project requires a client certificate and none was presented. Present one in the TLS handshake."
        }
        ErrorCode::InvalidCertificate => {
            "The client certificate cannot be used: it cannot be read, or it has no Authority Key Identifier."
        }
        ErrorCode::CertificateVerificationFailed => {
            "The client certificate does not verify against the certificates that are active here."
        }
        ErrorCode::CertificateAttributeVerificationFailed => {
            "The client certificate verifies, but its attributes are not accepted here."
        }
        ErrorCode::AuthenticationTemporarilyUnavailable => {
            "The client certificate cannot be checked right now. Try again."
        }
        ErrorCode::HeadersTooLarge => {
            "The request's headers are too large or too many, or its target is too long."
        }
        ErrorCode::NotFound => "No route serves this host and path.",
        ErrorCode::MethodNotAllowed => "This method is not supported.",
        ErrorCode::BadRequest => "The request is malformed.",
        ErrorCode::RequestTimeout => "The request's body did not arrive in time.",
        ErrorCode::UpstreamUnavailable => {
            "The upstream could not be reached, or its response broke off."
        }
        ErrorCode::UpstreamTimeout => "The upstream did not respond in time.",
        ErrorCode::Overloaded => "This gateway is overloaded. Try again.",
        _ => "The request could not be served.",
    }
}
