//! A request that does not pass: its answer, its count, its log line and what `explain` shows
//! later, each made here and once. The client is told the code, a fixed sentence and the request
//! id; the operator gets the whole story.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use countersign_types::{
    digest::Sha256,
    error::{ErrorCode, ErrorResponse},
    id::RequestId,
};
use countersign_verify::denial::Denial;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::Full;
use serde::Serialize;

use crate::{body::ResponseBody, reported::Reported};

/// How many refusals, and how many reports of what would be one, are remembered for `countersign explain`.
const MAX_REMEMBERED: usize = 2_048;

/// Why a request does not pass.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// For the operator only.
    pub(crate) reason: String,
    /// The judge's whole story, when it was the judge who refused.
    pub(crate) denial: Option<Box<Denial>>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            denial: None,
        }
    }

    /// The answer to the client.
    pub(crate) fn response(&self, id: &RequestId) -> Response<ResponseBody> {
        let message = format!("{} The request id is {id}.", sentence(self.code));
        let envelope = ErrorResponse::new(self.code, message, None);
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        let mut response = Response::new(ResponseBody::Own(Full::new(Bytes::from(body))));
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

impl From<Box<Denial>> for Refusal {
    fn from(denial: Box<Denial>) -> Self {
        Self {
            code: denial.code(),
            reason: story(&denial),
            denial: Some(denial),
        }
    }
}

/// The judge's findings in one line.
fn story(denial: &Denial) -> String {
    let findings: Vec<String> = denial
        .trace()
        .iter()
        .map(|finding| match &finding.anchor {
            Some((anchor, _)) => format!("{anchor}: {}", finding.reason),
            None => finding.reason.to_string(),
        })
        .collect();
    findings.join("; ")
}

/// What a client is told: never which anchors there are.
const fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidApiKey => {
            "No valid API key was given. Send a key of the project as `Authorization: Bearer KEY`."
        }
        ErrorCode::CertificateRequired => {
            "This project asks for a client certificate and none was presented. Present one in the TLS handshake."
        }
        ErrorCode::InvalidCertificate => {
            "The client certificate cannot be used: it cannot be read, or it has no Authority Key Identifier."
        }
        ErrorCode::CertificateVerificationFailed => {
            "The client certificate does not verify against the certificates that are active here."
        }
        ErrorCode::CertificateAttributeVerificationFailed => {
            "The client certificate verifies, and its attributes are not among those accepted here."
        }
        ErrorCode::AuthenticationTemporarilyUnavailable => {
            "The client certificate cannot be judged just now. Try again."
        }
        ErrorCode::NotFound => "Nothing is served at this host and path.",
        ErrorCode::MethodNotAllowed => "This method is not served here.",
        ErrorCode::BadRequest => "The request is not well formed.",
        ErrorCode::UpstreamUnavailable => {
            "The upstream could not be reached or broke its answer off."
        }
        ErrorCode::UpstreamTimeout => "The upstream did not answer in time.",
        ErrorCode::Overloaded => {
            "More is asked of this gateway than it takes on at once. Try again."
        }
        _ => "The request could not be served.",
    }
}

/// A refusal as `countersign explain` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Explanation {
    pub(crate) request_id: RequestId,
    pub(crate) time: u64,
    pub(crate) code: &'static str,
    /// Whether the request passed, and would be refused by anchors that are only reported.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) report_only: bool,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leaf_sha256: Option<Sha256>,
    pub(crate) trace: serde_json::Value,
}

/// The latest refusals, for `countersign explain`.
#[derive(Debug, Default)]
pub(crate) struct Explanations(Mutex<VecDeque<Explanation>>);

impl Explanations {
    pub(crate) fn remember(&self, explanation: Explanation) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_REMEMBERED {
            latest.pop_front();
        }
        latest.push_back(explanation);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Explanation> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest
            .iter()
            .rev()
            .find(|each| each.request_id.as_str() == id)
            .cloned()
    }
}

/// The latest requests that would be refused, apart from those that were, so that a roll-out does
/// not push out the refusals. Their stories are told only when asked for: every request may be one.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<VecDeque<(Explanation, Arc<Reported>)>>);

impl Reports {
    /// Remembers a request, its story apart.
    pub(crate) fn remember(&self, explanation: Explanation, reported: Arc<Reported>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_REMEMBERED {
            latest.pop_front();
        }
        latest.push_back((explanation, reported));
    }

    pub(crate) fn find(&self, id: &str) -> Option<Explanation> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (explanation, reported) = latest
            .iter()
            .rev()
            .find(|(explanation, _)| explanation.request_id.as_str() == id)?;
        let denial = reported.denial()?;
        Some(Explanation {
            reason: story(denial),
            trace: serde_json::json!(denial.trace()),
            ..explanation.clone()
        })
    }
}
