//! Receiving a body: within a limit and in time, and parsed strictly as one JSON object.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use countersign_types::error::ErrorCode;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{error::ApiError, json};

/// How long a body may take to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The same for one that is large.
const TIME_LIMIT_OF_LARGE: Duration = Duration::from_secs(60);

/// From how many bytes on a body is large, and how many of those are taken in at a time: what they say is in
/// memory more than once.
const LARGE: usize = 1024 * 1024;
static LARGE_AT_A_TIME: Semaphore = Semaphore::const_new(2);

/// What a large body holds while its request is answered.
pub(super) type Room = Option<SemaphorePermit<'static>>;

/// How much of a refused body is read and thrown away, so that a client that writes first and
/// reads later sees the answer and not a broken pipe.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// The properties of the JSON object in a body; nothing when the body is empty.
pub(super) async fn object(
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
    room: &mut Room,
) -> Result<Option<Map<String, Value>>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    check_media_type(headers)?;
    let time = if limit > LARGE {
        TIME_LIMIT_OF_LARGE
    } else {
        TIME_LIMIT
    };
    let whole = timeout(time, collect(std::mem::take(body), limit, room));
    let whole = whole.await.map_err(|_| too_slow())??;
    if whole.is_empty() {
        return Ok(None);
    }
    if whole.len() <= LARGE {
        return parse(&whole).map(Some);
    }
    let parsed = tokio::task::spawn_blocking(move || parse(&whole)).await;
    let parsed = parsed.map_err(|error| ApiError::internal(error.to_string()))?;
    parsed.map(Some)
}

/// Reads the rest of a body and forgets it.
pub(super) async fn discard(body: Body) {
    if !body.is_end_stream() {
        let _ = timeout(TIME_LIMIT, discard_all(body)).await;
    }
}

/// What is longer than the limit stays unread: the connection closes.
async fn discard_all(mut body: Body) {
    let mut left = MAX_DISCARDED_BYTES;
    while !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else {
            return;
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else {
            return;
        };
        left = rest;
    }
}

/// Reads the whole body, up to the limit.
async fn collect(mut body: Body, limit: usize, room: &mut Room) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken_off)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            discard_all(body).await;
            return Err(too_large(limit));
        }
        if whole.len() + data.len() > LARGE && room.is_none() {
            // The semaphore is never closed.
            *room = LARGE_AT_A_TIME.acquire().await.ok();
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn broken_off(error: axum::Error) -> ApiError {
    ApiError::new(
        ErrorCode::BadRequest,
        "The body is malformed or ended too early. Send it again.",
    )
    .because(error.to_string())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("The body is larger than {limit} bytes. Send less.");
    ApiError::new(ErrorCode::RequestTooLarge, message)
}

fn too_slow() -> ApiError {
    ApiError::new(
        ErrorCode::RequestTimeout,
        "The body took too long to arrive. Send it again.",
    )
}

/// Refuses a body that is not declared as JSON.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    let essence = first
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match (essence, values.next()) {
        (Some(essence), None) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "The body must be JSON. Send it with the header `Content-Type: application/json`.",
        )),
    }
}

fn parse(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match json::read(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new(
            ErrorCode::InvalidJson,
            "The body is JSON, but not an object. Send an object: `{\"property\": value}`.",
        )),
        Err(error) => Err(ApiError::new(ErrorCode::InvalidJson, why_not_json(&error))),
    }
}

/// Where the text stops being JSON, without a word of the text itself: it may hold a secret.
fn why_not_json(error: &serde_json::Error) -> String {
    format!(
        "The body is not valid JSON: the error is at line {}, column {}. Send one JSON object in \
         UTF-8, each property once, nested less than 128 levels deep.",
        error.line(),
        error.column()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media_type(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        check_media_type(&headers).is_ok()
    }

    #[test]
    fn only_json_is_taken_for_json() {
        assert!(media_type(&["application/json"]));
        assert!(media_type(&["Application/JSON ; charset=utf-8"]));
        for wrong in [
            "",
            "text/plain",
            "application/jsonx",
            "multipart/form-data; a=application/json",
        ] {
            assert!(!media_type(&[wrong]), "{wrong}");
        }
        assert!(!media_type(&[]));
        assert!(!media_type(&["application/json", "text/plain"]));
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(text: Vec<u8>) {
            if let Err(error) = parse(&text) {
                prop_assert_eq!(error.code, ErrorCode::InvalidJson);
            }
        }
    }
}
