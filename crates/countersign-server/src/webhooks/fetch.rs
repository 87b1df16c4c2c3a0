//! Fetches what stands at a URL that an organization's admin chose, by the rules for webhooks: the address that was
//! checked is the one that is connected to, at every redirect anew. Plain `http` is allowed, since what is fetched
//! is signed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::Url;

use super::{
    address::check_list_url,
    send::{Failure, Sender, authority},
};

/// How long a fetch may take, redirects and body included.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an answer may name another place.
const MAX_REDIRECTS: usize = 3;
/// The most bytes of a validator that is kept.
const MAX_VALIDATOR_BYTES: usize = 512;

/// What says whether something is still as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// What was found.
pub(crate) enum Fetched {
    /// It is as it was.
    Unchanged,
    /// The whole of it.
    Whole(Bytes, Validators),
}

/// Why there is nothing. The texts are for the admin, and never hold the URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Unreachable(#[from] Failure),
    #[error("the response has the status {0}")]
    Status(u16),
    #[error("the response has more than {0} bytes")]
    TooLarge(usize),
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    Redirects,
    #[error("it redirects to a URL that is not allowed: {0}")]
    Redirect(&'static str),
    #[error("the response broke off")]
    BrokenOff,
    #[error("no whole response within {} seconds", FETCH_TIMEOUT.as_secs())]
    Timeout,
}

/// What one request led to.
enum Step {
    Done(Fetched),
    Elsewhere(Url),
}

impl Sender {
    /// Fetches what is at a URL, unless it is as it was.
    pub(crate) async fn fetch(
        &self,
        url: &Url,
        known: &Validators,
        most: usize,
    ) -> Result<Fetched, FetchError> {
        let fetched = timeout(FETCH_TIMEOUT, self.follow(url, known, most)).await;
        fetched.map_err(|_| FetchError::Timeout)?
    }

    async fn follow(
        &self,
        url: &Url,
        known: &Validators,
        most: usize,
    ) -> Result<Fetched, FetchError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            // Checked again: the operator may have changed what is allowed.
            check_list_url(url.as_str(), self.private()).map_err(FetchError::Redirect)?;
            match self.get(&url, known, most).await? {
                Step::Done(fetched) => return Ok(fetched),
                Step::Elsewhere(next) => url = next,
            }
        }
        Err(FetchError::Redirects)
    }

    async fn get(&self, url: &Url, known: &Validators, most: usize) -> Result<Step, FetchError> {
        let request = request(url, known)?;
        let stream = self.open(url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(64 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Failure::Http)?;
        let connection = tokio::spawn(connection);
        let answered = async {
            let response = sender.send_request(request).await;
            read(url, response.map_err(Failure::Http)?, most).await
        };
        let answered = answered.await;
        connection.abort();
        answered
    }
}

fn request(url: &Url, known: &Validators) -> Result<Request<Empty<Bytes>>, FetchError> {
    let query = url.query().map(|query| format!("?{query}"));
    let path = format!("{}{}", url.path(), query.unwrap_or_default());
    let mut request = Request::get(path)
        .header(header::HOST, authority(url))
        .header(header::ACCEPT, "application/pkix-crl, */*")
        .header(header::USER_AGENT, "countersign")
        .header(header::CONNECTION, "close");
    for (name, value) in [
        (header::IF_NONE_MATCH, &known.etag),
        (header::IF_MODIFIED_SINCE, &known.last_modified),
    ] {
        let value = value.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(value)) = value {
            request = request.header(name, value);
        }
    }
    let request = request.body(Empty::new());
    request.map_err(|_| FetchError::Unreachable(Failure::Url("It cannot be asked for.")))
}

async fn read(url: &Url, response: Response<Incoming>, most: usize) -> Result<Step, FetchError> {
    let (head, body) = response.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(Step::Done(Fetched::Unchanged)),
        status if status.is_redirection() => {
            let to = text(&head.headers, header::LOCATION);
            let to = to.and_then(|to| url.join(&to).ok());
            let to = to.ok_or(FetchError::Status(status.as_u16()))?;
            return Ok(Step::Elsewhere(to));
        }
        status => return Err(FetchError::Status(status.as_u16())),
    }
    let whole = Limited::new(body, most).collect().await;
    let whole = whole.map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLarge(most)
        } else {
            FetchError::BrokenOff
        }
    })?;
    let validators = Validators {
        etag: text(&head.headers, header::ETAG),
        last_modified: text(&head.headers, header::LAST_MODIFIED),
    };
    Ok(Step::Done(Fetched::Whole(whole.to_bytes(), validators)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= MAX_VALIDATOR_BYTES).then(|| value.to_owned())
}
