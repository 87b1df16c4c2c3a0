//! One call: its request, its attempts and its answer.

use std::{
    ops::Deref,
    time::{Duration, SystemTime},
};

use backon::Retryable as _;
use bytes::{Bytes, BytesMut};
use countersign_types::{
    assertion::ALLOW_BROKEN_ASSERTIONS,
    history::{HistoryPoint, RevisionToken},
};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Url;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{
    ApiError, Error,
    client::{Client, Inner},
    presentable::presentable,
    retry,
    unreachable::Unreachable,
};

/// What a call returned: the value, which this dereferences to, and what came with it in headers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response<T> {
    /// The body.
    pub value: T,
    /// `x-request-id`: the server's id of the request.
    pub request_id: Option<String>,
    /// `countersign-revision`: the number of the change that a write made; only Countersign sends it.
    pub revision: Option<u64>,
    /// `countersign-token`: the token of that change, which no other of any history has.
    pub token: Option<RevisionToken>,
    /// `date`: the server's clock, to the second.
    pub date: Option<SystemTime>,
}

impl<T> Response<T> {
    /// The change that a write made; without its token from a server that does not tell it.
    #[must_use]
    pub fn change(&self) -> Option<HistoryPoint> {
        self.revision.map(|revision| HistoryPoint {
            revision,
            token: self.token.unwrap_or_default(),
        })
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A request to any server. It has no `Debug`, since bodies hold PEM.
#[derive(Clone)]
pub(crate) struct Request {
    method: Method,
    path: Vec<String>,
    /// Whether the path is the server's own and not below the base URL.
    at_root: bool,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    held_open: Duration,
}

impl Request {
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            at_root: false,
            query: Vec::new(),
            body: None,
            held_open: Duration::ZERO,
        }
    }

    /// Takes the path from the server's root instead of the base URL.
    pub(crate) const fn at_root(mut self) -> Self {
        self.at_root = true;
        self
    }

    /// Adds a query parameter once for each value.
    pub(crate) fn query<V: ToString>(
        mut self,
        name: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let pairs = values.into_iter().map(|value| (name, value.to_string()));
        self.query.extend(pairs);
        self
    }

    /// Gives the request a JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::Config(format!("cannot write the request as JSON: {error}")))?;
        self.body = Some(bytes.into());
        Ok(self)
    }

    /// Lets the server hold the request open this much longer than the client's timeout.
    pub(crate) const fn held_open(mut self, wait: Duration) -> Self {
        self.held_open = wait;
        self
    }

    /// An id from elsewhere may be a text that URLs have no segment for: it would be left out, and
    /// the request would be another one.
    fn check(&self) -> Result<(), Error> {
        let lost = |segment: &&String| matches!(segment.as_str(), "" | "." | "..");
        match self.path.iter().find(lost) {
            Some(id) => Err(Error::Config(format!("`{id}` cannot be an id"))),
            None => Ok(()),
        }
    }

    /// The URL below `base`; each segment and each query value is percent-encoded.
    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if self.at_root {
            url.set_path("/");
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

/// A whole answer.
struct RawResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// An attempt that did not succeed.
enum Failed {
    /// The server answered that it did not work, and a retry may help.
    Refused(RawResponse),
    /// There is no answer.
    Unanswered(Error),
}

impl Failed {
    /// Whether another attempt may succeed.
    const fn is_transient(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unanswered(Error::Timeout { .. }) => true,
            Self::Unanswered(Error::Connection { cause, .. }) => cause.is_transient(),
            Self::Unanswered(_) => false,
        }
    }

    /// How long to wait before the next attempt, instead of `backoff`.
    #[expect(
        clippy::disallowed_methods,
        reason = "an HTTP date in `retry-after` is compared with the clock here, and only here"
    )]
    fn wait(&self, backoff: Duration) -> Duration {
        let none = HeaderMap::new();
        let headers = match self {
            Self::Refused(answer) => &answer.headers,
            Self::Unanswered(_) => &none,
        };
        retry::delay(backoff, headers, SystemTime::now(), retry::random())
    }
}

impl Client {
    /// Sends a request, retries it where that may help, and reads the answer.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        mut request: Request,
    ) -> Result<Response<T>, Error> {
        request.check()?;
        if self.breaks_assertions && request.method != Method::GET {
            request = request.query(ALLOW_BROKEN_ASSERTIONS, [true]);
        }
        let attempt = || async {
            let answer = self.attempt(&request).await.map_err(Failed::Unanswered)?;
            if retry::is_worthwhile(answer.status, &answer.headers) {
                return Err(Failed::Refused(answer));
            }
            Ok(answer)
        };
        let attempts = attempt
            .retry(retry::backoff(self.inner.max_retries))
            .sleep(tokio::time::sleep)
            .when(Failed::is_transient)
            .adjust(|failed, backoff| backoff.map(|backoff| failed.wait(backoff)));
        match attempts.await {
            Ok(answer) | Err(Failed::Refused(answer)) => self.inner.read(answer),
            Err(Failed::Unanswered(error)) => {
                Err(error.after(self.inner.max_retries.saturating_add(1)))
            }
        }
    }

    /// Sends a request once and reads its answer to its end.
    async fn attempt(&self, request: &Request) -> Result<RawResponse, Error> {
        let inner = &self.inner;
        let (begin, part, whole) = match self.patience {
            Some(patience) => (patience.saturating_add(request.held_open), patience, None),
            None => {
                let whole = inner.timeout.saturating_add(request.held_open);
                (whole, whole, Some(whole))
            }
        };
        let mut sending = self
            .http
            .request(request.method.clone(), request.url(&inner.base_url));
        if let Some(whole) = whole {
            sending = sending.timeout(whole);
        }
        if let Some(body) = &request.body {
            sending = sending
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let arrived = || {
            if let Some(arrivals) = &self.arrivals {
                arrivals.notify_one();
            }
        };
        let mut response = inner.within(begin, sending.send()).await?;
        arrived();
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = inner.within(part, response.chunk()).await? {
            body.extend_from_slice(&chunk);
            arrived();
        }
        Ok(RawResponse {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

impl Inner {
    async fn within<T>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Error> {
        match timeout(limit, step).await {
            Ok(done) => done.map_err(|error| self.failure(&error, limit)),
            Err(_) => Err(Error::Timeout {
                origin: self.origin(),
                after: limit,
                attempts: 1,
            }),
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: RawResponse) -> Result<Response<T>, Error> {
        let RawResponse {
            status,
            headers,
            body,
        } = answer;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text("x-request-id").map(str::to_owned);
        if !status.is_success() {
            let mut error = ApiError::read(status.as_u16(), &body, request_id, &self.key);
            error.base_url = self.base_url.to_string();
            if let (true, Some(to)) = (status.is_redirection(), text("location")) {
                let to = presentable(to, &self.key);
                error.message = format!("it redirects to `{to}`, which is not followed");
            }
            return Err(Error::Api(Box::new(error)));
        }
        let value = serde_json::from_slice(&body).map_err(|error| Error::Decode {
            origin: self.origin(),
            reason: presentable(&without_values(&error.to_string()), &self.key),
            request_id: request_id.clone(),
        })?;
        Ok(Response {
            value,
            revision: text("countersign-revision").and_then(|number| number.parse().ok()),
            token: text("countersign-token").and_then(|token| token.parse().ok()),
            date: text("date").and_then(|date| httpdate::parse_http_date(date).ok()),
            request_id,
        })
    }

    fn failure(&self, error: &reqwest::Error, after: Duration) -> Error {
        let origin = self.origin();
        if error.is_timeout() {
            return Error::Timeout {
                origin,
                after,
                attempts: 1,
            };
        }
        let cause = Unreachable::of(error, &self.key);
        if error.is_builder() {
            return Error::Config(cause.to_string());
        }
        Error::Connection { origin, cause }
    }

    pub(crate) fn origin(&self) -> String {
        self.base_url.origin().ascii_serialization()
    }
}

/// A decoding error without the values that it quotes: one of them could be a key.
fn without_values(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let head = text.get(..first).unwrap_or_default();
            let tail = text.get(last + 1..).unwrap_or_default();
            format!("{head}\"..\"{tail}")
        }
        _ => text.to_owned(),
    }
}
