//! What is known of a request, and what every response has in common: request id, headers, access
//! log and metrics.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_trace::{Ids, Side, Span, Spans, Traceparent, Value};
use countersign_types::{
    error::ErrorCode,
    history::HistoryPoint,
    id::{ApiKeyId, OrganizationId, RequestId},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts,
};

use super::{
    answer::{Answered, Reply},
    app::App,
    error::ApiError,
    request_metrics::{Meters, count_store_error},
};

/// How much of a caller's own request id goes to the log.
const MAX_CLIENT_REQUEST_ID: usize = 128;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const REVISION: HeaderName = HeaderName::from_static("countersign-revision");
const TOKEN: HeaderName = HeaderName::from_static("countersign-token");

/// What is known of a request, for its response and its line in the log.
pub(super) struct Record {
    started: Instant,
    number: u128,
    id: RequestId,
    spans: Option<Arc<Spans>>,
    pub(super) organization: Option<OrganizationId>,
    pub(super) key: Option<ApiKeyId>,
}

impl Record {
    pub(super) fn begin(app: &App) -> Self {
        let number = app.next_request_number();
        Self {
            started: Instant::now(),
            number,
            id: RequestId::from_random(number),
            spans: app.spans().cloned(),
            organization: None,
            key: None,
        }
    }

    /// Counts and logs the request; its response. A request whose head cannot be read has no parts.
    pub(super) fn finish(
        self,
        route: &'static str,
        parts: Option<&Parts>,
        meters: &Meters,
        answered: Answered,
    ) -> Response<Bytes> {
        let took = self.started.elapsed();
        let (response, refusal) = match answered {
            Ok(reply) => (success(reply), None),
            Err(error) => (failure(&error), Some(error)),
        };
        let status = response.status().as_u16();
        meters.end(status, took);
        if let Some(spans) = &self.spans {
            self.end_span(spans, route, parts, (status, refusal.as_ref()));
        }
        self.log(route, parts, status, refusal.as_ref());
        self.head(response, took)
    }

    /// Hands its span on, if it is recorded. It never contains a key, a query or a body.
    fn end_span(
        &self,
        spans: &Spans,
        route: &'static str,
        parts: Option<&Parts>,
        (status, refusal): (u16, Option<&ApiError>),
    ) {
        let own = Ids::of(self.number);
        let given = parts.and_then(|parts| traceparent(&parts.headers));
        let trace = given.map_or(own.trace, |given| given.trace);
        if !spans.samples(given.as_ref(), &trace) {
            return;
        }
        let method = parts.map_or("_OTHER", |parts| known_method(&parts.method));
        let method = if method == "other" { "_OTHER" } else { method };
        let code = refusal.map(|error| error.code.as_str());
        let text = |key: &'static str, text: Option<&str>| Some((key, Value::from(text?)));
        let all = [
            text("http.request.method", Some(method)),
            Some(("http.response.status_code", Value::from(status))),
            text("http.route", Some(route)),
            text("url.path", parts.map(|parts| parts.uri.path())),
            text("error.type", code.filter(|_| status >= 500)),
            text("countersign.request_id", Some(self.id.as_str())),
            text(
                "countersign.organization",
                self.organization.as_ref().map(OrganizationId::as_str),
            ),
            text("countersign.key", self.key.as_ref().map(ApiKeyId::as_str)),
            text("countersign.code", code),
        ];
        spans.offer(Span {
            trace,
            id: own.span,
            side: Side::Server,
            parent: given.map(|given| given.parent),
            name: format!("{method} {route}"),
            time: spans.time_of(self.started.elapsed()),
            attributes: all.into_iter().flatten().collect(),
            failed: status >= 500,
        });
    }

    /// The headers that every response has.
    fn head(&self, mut response: Response<Bytes>, took: Duration) -> Response<Bytes> {
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VERSION, HeaderValue::from_static("2020-10-01"));
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        headers.insert(PROCESSING_MS, HeaderValue::from(milliseconds));
        if let Ok(id) = HeaderValue::from_str(self.id.as_str()) {
            headers.insert(X_REQUEST_ID, id);
        }
        let organization = self.organization.as_ref();
        if let Some(Ok(id)) = organization.map(|id| HeaderValue::from_str(id.as_str())) {
            headers.insert(ORGANIZATION, id);
        }
        response
    }

    /// One line for each request. It never contains a key, a query or a body.
    fn log(
        &self,
        route: &'static str,
        parts: Option<&Parts>,
        status: u16,
        refusal: Option<&ApiError>,
    ) {
        // What is absent has no field.
        let code = refusal.map(|error| error.code.as_str());
        let cause = refusal.and_then(|error| error.cause.as_deref());
        let given = parts.and_then(|parts| traceparent(&parts.headers));
        // As a number: one of 128 bits would be logged as a text.
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "countersign::access",
                    method = parts.map(|parts| known_method(&parts.method)),
                    route,
                    status,
                    code,
                    cause,
                    organization = self.organization.as_ref().map(OrganizationId::as_str),
                    key = self.key.as_ref().map(ApiKeyId::as_str),
                    request_id = self.id.as_str(),
                    trace_id = given.as_ref().map(|given| given.trace.as_str()),
                    client_request_id = parts.and_then(|parts| client_request_id(&parts.headers)),
                    duration_us,
                    "request"
                )
            };
        }
        if status >= 500 {
            line!(error)
        } else {
            line!(info)
        }
    }
}

fn success(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(reply.body);
    let Some(HistoryPoint { revision, token }) = reply.change else {
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(REVISION, HeaderValue::from(revision));
    if let (false, Ok(token)) = (token.is_none(), HeaderValue::try_from(token.to_string())) {
        headers.insert(TOKEN, token);
    }
    response
}

fn failure(error: &ApiError) -> Response<Bytes> {
    if matches!(error.code, ErrorCode::StorageUnavailable) {
        count_store_error(error.code);
    }
    let body = serde_json::to_vec(&error.envelope()).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    let status = StatusCode::from_u16(error.code.status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(seconds) = error.code.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == ErrorCode::InvalidApiKey {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The method, if it is a standard one: callers cannot write arbitrary text into the log.
fn known_method(method: &Method) -> &str {
    let usual = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if usual.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}

/// What a caller says of the trace, if it says it once (W3C Trace Context).
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    let mut all = headers.get_all("traceparent").iter();
    let first = all.next()?;
    all.next()
        .is_none()
        .then(|| Traceparent::read(first.as_bytes()))?
}

/// The caller's own id for the request, without characters that could forge a line of the log.
fn client_request_id(headers: &HeaderMap) -> Option<String> {
    let given = headers
        .get("x-client-request-id")
        .and_then(|value| value.to_str().ok());
    let plain = given?.chars().filter(char::is_ascii_graphic);
    let plain: String = plain.take(MAX_CLIENT_REQUEST_ID).collect();
    (!plain.is_empty()).then_some(plain)
}
