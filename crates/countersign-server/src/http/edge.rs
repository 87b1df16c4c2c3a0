//! The order of one request, on one screen, and everything that every response has in common:
//! request id, headers, access log, metrics, time limit, and what becomes of a panic.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use countersign_types::{
    error::ErrorCode,
    id::{ApiKeyId, OrganizationId, RequestId},
};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body::Body as _;
use tokio::time::timeout;

use super::{
    App,
    answer::Answer,
    body::{self, Fields},
    call::Call,
    caller,
    error::ApiError,
    meters::{Meters, count_store_error},
    operation::{Answered, Operation, Takes},
    query::Query,
};

/// How long an ordinary request may take, and how long its body may take to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(30);
const BODY_TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long a request may take that may wait for a change: the longest wait and the ordinary time.
const WAITING_TIME_LIMIT: Duration = Duration::from_secs(90);
/// How much of a caller's own request id goes to the log.
const MAX_CLIENT_REQUEST_ID: usize = 128;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const REVISION: HeaderName = HeaderName::from_static("countersign-revision");

/// Answers a request for an operation.
pub(super) async fn answer(
    app: App,
    operation: &'static Operation,
    meters: &Meters,
    request: Request,
) -> Response {
    let _in_flight = meters.begin();
    let mut record = Record::begin(&app);
    let (parts, mut body) = request.into_parts();
    let limit = if operation.waits {
        WAITING_TIME_LIMIT
    } else {
        TIME_LIMIT
    };
    let run = run(&app, operation, &parts, &mut body, &mut record);
    let answered = match AssertUnwindSafe(timeout(limit, run)).catch_unwind().await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Err(too_slow()),
        Err(panic) => Err(ApiError::broken(words_of(panic.as_ref()))),
    };
    if !body.is_end_stream() {
        let _ = timeout(BODY_TIME_LIMIT, body::discard(body)).await;
    }
    record.finish(operation.path, &parts, meters, answered)
}

/// Answers a request that no operation is for.
pub(super) async fn refuse(
    app: App,
    meters: &Meters,
    request: Request,
    error: ApiError,
) -> Response {
    let _in_flight = meters.begin();
    let record = Record::begin(&app);
    let (parts, body) = request.into_parts();
    if !body.is_end_stream() {
        let _ = timeout(BODY_TIME_LIMIT, body::discard(body)).await;
    }
    record.finish("unmatched", &parts, meters, Err(error))
}

/// Key, permission, query, body, and only then the handler.
async fn run(
    app: &App,
    operation: &'static Operation,
    parts: &Parts,
    body: &mut Body,
    record: &mut Record,
) -> Answered {
    let caller = caller::authenticate(app, &parts.headers, operation.needs, record).await?;
    let query = Query::read(parts.uri.query())?;
    let fields = match operation.takes {
        Takes::NoBody => Fields::default(),
        Takes::OptionalBody(_) => read(operation, &parts.headers, body)
            .await?
            .unwrap_or_default(),
        Takes::Body(_) => read(operation, &parts.headers, body)
            .await?
            .ok_or_else(no_body)?,
    };
    let call = Call {
        app: app.clone(),
        query,
        fields,
        operation,
        uri: parts.uri.clone(),
    };
    (operation.handler)(caller, call).await
}

/// The properties in the body; nothing when the body is empty.
async fn read(
    operation: &Operation,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Option<Fields>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    body::check_media_type(headers)?;
    let whole = body::collect(std::mem::take(body), operation.body_bytes);
    let whole = timeout(BODY_TIME_LIMIT, whole)
        .await
        .map_err(|_| too_slow_a_body())??;
    if whole.is_empty() {
        return Ok(None);
    }
    Fields::read(&whole).map(Some)
}

/// What is known of a request, for its response and its line in the log.
pub(super) struct Record {
    started: Instant,
    id: RequestId,
    pub(super) organization: Option<OrganizationId>,
    pub(super) key: Option<ApiKeyId>,
}

impl Record {
    fn begin(app: &App) -> Self {
        Self {
            started: Instant::now(),
            id: app.next_request_id(),
            organization: None,
            key: None,
        }
    }

    fn finish(
        self,
        route: &'static str,
        parts: &Parts,
        meters: &Meters,
        answered: Answered,
    ) -> Response {
        let took = self.started.elapsed();
        let (response, refusal) = match answered {
            Ok(answer) => (success(answer), None),
            Err(error) => (failure(&error), Some(error)),
        };
        let status = response.status().as_u16();
        meters.end(status, took);
        self.log(route, parts, status, refusal.as_ref());
        self.head(response, took)
    }

    /// The headers that every response has.
    fn head(&self, mut response: Response, took: Duration) -> Response {
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

    /// One line for each request. It never has a key, a query or a body in it.
    fn log(&self, route: &'static str, parts: &Parts, status: u16, refusal: Option<&ApiError>) {
        let code = refusal.map_or("", |error| error.code.as_str());
        let cause = refusal
            .and_then(|error| error.cause.as_deref())
            .unwrap_or_default();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "countersign::access",
                    method = known_method(&parts.method),
                    route,
                    status,
                    code,
                    cause,
                    organization = self.organization.as_ref().map_or("", OrganizationId::as_str),
                    key = self.key.as_ref().map_or("", ApiKeyId::as_str),
                    request_id = self.id.as_str(),
                    client_request_id = client_request_id(&parts.headers),
                    duration_us = self.started.elapsed().as_micros(),
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

fn success(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    if let Some(revision) = answer.revision {
        response
            .headers_mut()
            .insert(REVISION, HeaderValue::from(revision));
    }
    response
}

fn failure(error: &ApiError) -> Response {
    if matches!(error.code, ErrorCode::StorageUnavailable) {
        count_store_error(error.code);
    }
    let body = serde_json::to_vec(&error.envelope()).unwrap_or_default();
    let mut response = Response::new(Body::from(Bytes::from(body)));
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

fn too_slow() -> ApiError {
    ApiError::new(
        ErrorCode::Overloaded,
        "This took too long and was given up; a write may still have happened. Look, then try \
         again.",
    )
    .because("the time limit of the request passed")
}

fn no_body() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidJson,
        "The body is empty. Send a JSON object.",
    )
}

fn too_slow_a_body() -> ApiError {
    ApiError::new(
        ErrorCode::RequestTimeout,
        "The body took too long to arrive. Send it again.",
    )
}

/// What a panic said, for the log.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without words"))
}

/// The method, if it is one of the usual ones: a caller writes nothing else into the log.
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

/// The caller's own id for the request, without what could forge a line of the log.
fn client_request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get("x-client-request-id")
        .and_then(|value| value.to_str().ok());
    let plain = given
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_graphic);
    plain.take(MAX_CLIENT_REQUEST_ID).collect()
}
