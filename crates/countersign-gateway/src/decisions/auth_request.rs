//! nginx's `auth_request`: the client's headers come as they are, its method and target in headers beside.
//! nginx looks at the status alone, and only at 2xx, 401 and 403; all else is a 500 to its client. So a
//! refusal's body comes in a header too, from which its configuration can take it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};

use super::{
    deciding::Deciding,
    http_answer::{asked_in_headers, decided},
};

const METHOD: HeaderName = HeaderName::from_static("x-original-method");
const TARGET: HeaderName = HeaderName::from_static("x-original-uri");
/// What the client is to be told.
const REFUSAL: HeaderName = HeaderName::from_static("x-countersign-refusal");

pub(super) fn answer(
    deciding: &Deciding,
    request: &Request<()>,
    peer: &Arc<str>,
) -> Response<Bytes> {
    let asked = asked_in_headers(request, peer, [&METHOD, &TARGET]);
    with_body_in_header(decided(deciding, asked, request.headers()))
}

/// The same response. Its body is JSON on one line, of ASCII.
pub(super) fn with_body_in_header(mut response: Response<Bytes>) -> Response<Bytes> {
    if !response.body().is_empty()
        && let Ok(body) = HeaderValue::from_bytes(response.body())
    {
        response.headers_mut().insert(REFUSAL, body);
    }
    response
}
