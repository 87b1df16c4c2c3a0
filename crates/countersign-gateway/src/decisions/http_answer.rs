//! A decision as an HTTP response: 200 with the identity headers, or the refusal as it is.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};

use super::deciding::{Asked, Deciding, Decision};

/// How a protocol answers a request of a proxy that has proven itself.
pub(super) type Answer = fn(&Deciding, &Request<()>, &Arc<str>) -> Response<Bytes>;

/// What is asked about, where headers say what the client requested.
pub(super) fn asked_in_headers<'a>(
    request: &'a Request<()>,
    peer: &'a Arc<str>,
    [method, target]: [&HeaderName; 2],
) -> Asked<'a> {
    let value = |name| request.headers().get(name).map(|value| value.as_bytes());
    Asked {
        peer,
        method: value(method),
        target: value(target),
        attribute: None,
        traceparent: None,
    }
}

/// The decision on what a proxy asks about.
pub(super) fn decided(
    deciding: &Deciding,
    asked: Asked<'_>,
    headers: &HeaderMap,
) -> Response<Bytes> {
    let each = || {
        let each = headers.iter();
        each.map(|(name, value)| (name.as_str(), value.as_bytes()))
    };
    match deciding.decide(asked, each) {
        Decision::Refused(response) => response,
        Decision::Passed(passed) => {
            let mut response = Response::new(Bytes::new());
            for (name, value) in passed.headers() {
                response.headers_mut().insert(name, value.clone());
            }
            response
        }
    }
}
