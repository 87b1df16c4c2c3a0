//! The forwarder's own answers: errors in the API's own form, so that tools show their message.

use bytes::Bytes;
use countersign_client::Unreachable;
use countersign_proxy::{Broken, Fault, ForwardError, MalformedRequest};
use countersign_types::error::{ErrorCode, ErrorResponse};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

/// Why a request was not answered by the server.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Why there is no answer from a server.
    pub(crate) fn unanswered(server: &str, error: &ForwardError) -> Self {
        let why = match error {
            ForwardError::Connect(error) => Unreachable::of_connection(&**error).to_string(),
            ForwardError::Broken(Broken::Http1(error)) => {
                Unreachable::of_connection(error).to_string()
            }
            ForwardError::Broken(Broken::Http2(error)) => {
                Unreachable::of_connection(error).to_string()
            }
            other => other.to_string(),
        };
        let code = match error.fault() {
            Fault::Request => ErrorCode::BadRequest,
            Fault::SlowClient => ErrorCode::RequestTimeout,
            Fault::SlowUpstream => ErrorCode::UpstreamTimeout,
            Fault::Upstream => ErrorCode::UpstreamUnavailable,
        };
        Self::new(code, format!("no answer from {server}: {why}"))
    }

    /// The answer to the tool.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let message = format!("countersign connect: {}", self.message);
        let body = ErrorResponse::new(self.code, message, None);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
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
