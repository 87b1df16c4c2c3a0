//! The order of one request, on one screen: its time limit, its caller, its body, its handler, and
//! what becomes of a panic.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use countersign_proxy::{MalformedRequest, check_shape};
use countersign_types::error::ErrorCode;
use futures_util::FutureExt as _;
use http::{HeaderValue, Version, header::CONNECTION, request::Parts};
use tokio::time::timeout;

use super::{
    answer::Answered, app::App, call::Call, contract::Presence, error::ApiError,
    operation::Operation, query_string::Pairs, receive, record::Record, request_metrics::Meters,
    unreadable_heads::headers_too_large,
};
use crate::serve::{BothLengths, HEADER_BYTES};

/// How long an ordinary request may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long a request may take that may wait for a change: the longest wait and the ordinary time.
const WAITING_TIME_LIMIT: Duration = Duration::from_secs(90);

/// Answers a request for an operation.
pub(super) async fn answer(
    app: App,
    operation: &'static Operation,
    meters: &Meters,
    request: Request,
) -> Response {
    let _in_flight = meters.begin();
    let mut record = Record::begin(&app);
    let shape = check_size(&request).and_then(|()| check(&request).map_err(malformed));
    let closes = shape.is_err() && request.version() < Version::HTTP_2;
    let (parts, mut body) = request.into_parts();
    let limit = if operation.waits {
        WAITING_TIME_LIMIT
    } else {
        TIME_LIMIT
    };
    let run = async {
        shape?;
        run(&app, operation, &parts, &mut body, &mut record).await
    };
    let answered = match AssertUnwindSafe(timeout(limit, run)).catch_unwind().await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Err(too_slow()),
        Err(panic) => Err(ApiError::internal(panic_message(panic.as_ref()))),
    };
    receive::discard(body).await;
    let response = record.finish(operation.path, Some(&parts), meters, answered);
    close_if(closes, response.map(Body::from))
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
    let shape = check_size(&request).and_then(|()| match check(&request) {
        Err(error @ (MalformedRequest::Ambiguous(_) | MalformedRequest::Head(_))) => {
            Err(malformed(error))
        }
        Err(MalformedRequest::Method(_)) | Ok(()) => Ok(()),
    });
    let closes = shape.is_err() && request.version() < Version::HTTP_2;
    let error = shape.err().unwrap_or(error);
    let (parts, body) = request.into_parts();
    receive::discard(body).await;
    let response = record.finish("unmatched", Some(&parts), meters, Err(error));
    close_if(closes, response.map(Body::from))
}

/// Key, permission, query, body, and only then the handler.
async fn run(
    app: &App,
    operation: &'static Operation,
    parts: &Parts,
    body: &mut Body,
    record: &mut Record,
) -> Answered {
    let permitted = operation.admit(app, &parts.headers, record).await?;
    let query = Pairs::read(parts.uri.query())?;
    let mut room = None;
    let body = match operation.contract.presence {
        Presence::None => None,
        Presence::Optional | Presence::Required => {
            receive::object(
                &parts.headers,
                body,
                operation.contract.body_bytes,
                &mut room,
            )
            .await?
        }
    };
    let call = Call {
        app: app.clone(),
        ids: operation.ids(parts.uri.path()).into_iter(),
        query,
        body,
    };
    // What a large body holds is let go of when it is answered.
    let answered = permitted.answer(call).await;
    drop(room);
    answered
}

/// Has the connection closed after a malformed request: where that ends is a matter of opinion, and so
/// is what follows it.
fn close_if(closes: bool, mut response: Response) -> Response {
    if closes {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Refuses a head that is too large. hyper bounds its buffer, which is larger by what it reads at
/// once.
fn check_size(request: &Request) -> Result<(), ApiError> {
    // What HTTP/1.1 adds to each: a colon, a space and a line break; and to the line its version.
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    let path = request.uri().path_and_query();
    let path = path.map_or(0, |path| path.as_str().len());
    let line = request.method().as_str().len() + path + " HTTP/1.1\r\n".len() + 1;
    if line + headers.sum::<usize>() > HEADER_BYTES {
        return Err(headers_too_large().because("the head is too large"));
    }
    Ok(())
}

/// Refuses what another server could read differently.
fn check(request: &Request) -> Result<(), MalformedRequest> {
    if request.extensions().get::<BothLengths>().is_some() {
        let both = "both `transfer-encoding` and `content-length`";
        return Err(MalformedRequest::Ambiguous(both));
    }
    if let Some(fault) = request.extensions().get() {
        return Err(MalformedRequest::Head(*fault));
    }
    check_shape(request)
}

/// A shape that another server could read differently, such as no `Host` or two lengths.
fn malformed(error: MalformedRequest) -> ApiError {
    ApiError::new(
        ErrorCode::BadRequest,
        format!("The request is malformed: {error}."),
    )
}

fn too_slow() -> ApiError {
    ApiError::new(
        ErrorCode::Overloaded,
        "The request took too long and was abandoned. A write may still have happened: check, then \
         try again.",
    )
    .because("the time limit of the request passed")
}

/// The message of a panic, for the log.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("no message"))
}
