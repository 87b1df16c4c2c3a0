//! What can go wrong with a call. Every text is one line, in lower case, and contains neither the
//! key nor a PEM body.

use std::{fmt, time::Duration};

use countersign_types::{error::ErrorCode, secret::Secret};
use serde::Deserialize;

use crate::{presentable::presentable, unreachable::Unreachable};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach `{origin}`: {cause}")]
    Connection {
        /// Scheme, host and port of the server.
        origin: String,
        /// The underlying cause.
        cause: Unreachable,
    },
    /// The server did not answer in time.
    #[error("no answer from `{origin}` within {} s{}", after.as_secs_f32(), Attempts(*attempts))]
    Timeout {
        /// Scheme, host and port of the server.
        origin: String,
        /// How long the client waited, each time.
        after: Duration,
        /// How often it asked.
        attempts: u32,
    },
    /// The server answered with success, but not with the body of the operation.
    #[error("cannot read the answer of `{origin}`: {reason}{}", Request(request_id.as_deref()))]
    Decode {
        /// Scheme, host and port of the server.
        origin: String,
        /// Where decoding stopped, and why.
        reason: String,
        /// The server's id of the request.
        request_id: Option<String>,
    },
    /// The server does not support an extension, so a request that needs it was not sent.
    #[error("`{origin}` does not know `{extension}`, so nothing was sent")]
    Unsupported {
        /// Scheme, host and port of the server.
        origin: String,
        /// The extension's name.
        extension: &'static str,
    },
    /// The configuration of the client, or the call, is invalid.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// The same after so many attempts.
    pub(crate) fn after(mut self, times: u32) -> Self {
        if let Self::Timeout { attempts, .. } = &mut self {
            *attempts = times;
        }
        self
    }

    /// The server's error, if the server refused.
    #[must_use]
    pub const fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// The documented code, if the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.api().and_then(ApiError::error_code)
    }

    /// The HTTP status, if the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.api().map(|error| error.status)
    }

    /// The server's id of the request, if it answered.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api(error) => error.request_id.as_deref(),
            Self::Decode { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

/// An error as the server reports it (docs/specification.md, section 1, "Errors").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `error.code`, even if it is not known here.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// What is wrong and what to do, in the server's words.
    pub message: String,
    /// `x-request-id`: what to quote to the server's operator.
    pub request_id: Option<String>,
    /// The base URL that was asked.
    pub base_url: String,
}

impl ApiError {
    /// The code, if it is one of the documented ones.
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.code.as_deref().and_then(ErrorCode::from_code)
    }

    /// Reads an error. A body that has no error (a proxy's page) becomes the message.
    pub(crate) fn read(status: u16, body: &[u8], request_id: Option<String>, key: &Secret) -> Self {
        let clean = |text: String| presentable(&text, key);
        let body = serde_json::from_slice::<Envelope>(body)
            .map(|envelope| envelope.error)
            .unwrap_or_else(|_| foreign(body));
        let message = clean(body.message.unwrap_or_default());
        Self {
            status,
            code: body.code.map(clean),
            kind: body.kind.map(clean),
            param: body.param.map(clean),
            message,
            request_id,
            base_url: String::new(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " `{code}`")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        write!(f, "{}", Request(self.request_id.as_deref()))
    }
}

impl std::error::Error for ApiError {}

/// How often a server was asked, as it ends an error's text.
struct Attempts(u32);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            times => write!(f, ", asked {times} times"),
        }
    }
}

/// The request id, as it ends an error's text.
struct Request<'a>(Option<&'a str>);

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " (request `{id}`)"),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: ErrorBody,
}

/// The error body as any server may write it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    param: Option<String>,
    code: Option<String>,
}

/// The body of something between here and the server; a page of HTML is left out.
fn foreign(body: &[u8]) -> ErrorBody {
    let text = String::from_utf8_lossy(body);
    let message = if text.trim_start().starts_with('<') {
        "an HTML page; is the base URL that of the API?".to_owned()
    } else {
        text.into_owned()
    };
    ErrorBody {
        message: Some(message),
        ..ErrorBody::default()
    }
}
