//! Traefik's ForwardAuth and Caddy's `forward_auth`: the client's headers come as they are, its method and
//! target in headers beside, and a refusal is passed on whole.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Request, Response};

use super::{
    deciding::Deciding,
    http_answer::{asked_in_headers, decided},
};

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const TARGET: HeaderName = HeaderName::from_static("x-forwarded-uri");

pub(super) fn answer(
    deciding: &Deciding,
    request: &Request<()>,
    peer: &Arc<str>,
) -> Response<Bytes> {
    let asked = asked_in_headers(request, peer, [&METHOD, &TARGET]);
    decided(deciding, asked, request.headers())
}
