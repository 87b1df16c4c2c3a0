//! What can go wrong with a call. Every text is one line, in lower case, and holds neither the key
//! nor a PEM body.

use std::{fmt, time::Duration};

use countersign_types::{error::ErrorCode, secret::Secret};
use serde::Deserialize;

/// The most characters of a server's text that an error repeats.
const MAX_MESSAGE_CHARACTERS: usize = 2000;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with a failure.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach `{origin}`: {reason}")]
    Connection {
        /// Scheme, host and port of the server.
        origin: String,
        /// What went wrong at the bottom.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("no answer from `{origin}` within {} s", after.as_secs_f32())]
    Timeout {
        /// Scheme, host and port of the server.
        origin: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server answered success with a body that is not the operation's.
    #[error("cannot read the answer of `{origin}`: {reason}{}", Request(request_id.as_deref()))]
    Decode {
        /// Scheme, host and port of the server.
        origin: String,
        /// Where the reading stopped, and why.
        reason: String,
        /// The server's name for the request.
        request_id: Option<String>,
    },
    /// The server does not say that it has an extension, so what needs it was not sent.
    #[error("`{origin}` does not know `{extension}`, so nothing was sent")]
    Unsupported {
        /// Scheme, host and port of the server.
        origin: String,
        /// The extension's name.
        extension: &'static str,
    },
    /// The client cannot be made, or the call cannot be sent, as it was described.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// The server's answer, when it is the server that refused.
    #[must_use]
    pub const fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// The documented code, when the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.api().and_then(ApiError::error_code)
    }

    /// The HTTP status, when the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.api().map(|error| error.status)
    }

    /// The server's name for the request, when it answered.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api(error) => error.request_id.as_deref(),
            Self::Decode { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

/// A failure as the server tells it (docs/specification.md, section 1, "Errors").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `error.code` as it was written, known here or not.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// What is wrong and what to do, in the server's words.
    pub message: String,
    /// `x-request-id`: what to quote to the server's operator.
    pub request_id: Option<String>,
}

impl ApiError {
    /// The code, if it is one of the documented ones.
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.code.as_deref().and_then(ErrorCode::from_code)
    }

    /// Reads a failure. A body that is no error envelope (a proxy's page) becomes the message.
    pub(crate) fn read(status: u16, body: &[u8], request_id: Option<String>, key: &Secret) -> Self {
        let clean = |text: String| presentable(&text, key);
        let told = serde_json::from_slice::<Envelope>(body)
            .map(|envelope| envelope.error)
            .unwrap_or_else(|_| foreign(body));
        let message = clean(told.message.unwrap_or_default());
        Self {
            status,
            code: told.code.map(clean),
            kind: told.kind.map(clean),
            param: told.param.map(clean),
            message,
            request_id,
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

/// The request id as an error's text ends with it.
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
    error: Told,
}

/// The error body as any server may write it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    param: Option<String>,
    code: Option<String>,
}

/// What some box between here and the server says; a page of HTML tells a reader nothing.
fn foreign(body: &[u8]) -> Told {
    let text = String::from_utf8_lossy(body);
    let message = if text.trim_start().starts_with('<') {
        "an HTML page; is the base URL that of the API?".to_owned()
    } else {
        text.into_owned()
    };
    Told {
        message: Some(message),
        ..Told::default()
    }
}

/// A server's text, made fit for a terminal and a log: one line, without control characters, cut
/// to length, without the key and without whatever follows a PEM header.
pub(crate) fn presentable(text: &str, key: &Secret) -> String {
    let hidden = text.replace(key.reveal(), "[the key]");
    let printable: String = without_pem(&hidden)
        .chars()
        .map(|each| if each.is_control() { ' ' } else { each })
        .collect();
    let words: Vec<&str> = printable.split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .take(MAX_MESSAGE_CHARACTERS)
        .collect()
}

/// A text up to its first PEM block. A header alone in backticks is advice, not a block.
fn without_pem(text: &str) -> &str {
    let is_block = |at: usize| {
        let label = text
            .get(at..)
            .and_then(|rest| rest.strip_prefix("-----BEGIN"));
        let after = label.and_then(|label| label.split_once("-----"));
        !after.is_some_and(|(_, after)| after.starts_with('`'))
    };
    let mut headers = text.match_indices("-----BEGIN").map(|(at, _)| at);
    let block = headers.find(|at| is_block(*at));
    block.and_then(|at| text.get(..at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::without_pem;

    #[test]
    fn advice_that_names_a_header_is_kept_and_a_block_is_not() {
        let advice = "send the block from `-----BEGIN CERTIFICATE-----` on";
        assert_eq!(without_pem(advice), advice);
        for block in [
            "-----BEGIN A-----\nMII",
            "-----BEGIN A----- MII",
            "-----BEGIN A",
            "-----BEGIN",
        ] {
            assert_eq!(
                without_pem(&format!("{advice}: {block}")),
                format!("{advice}: ")
            );
        }
    }
}
