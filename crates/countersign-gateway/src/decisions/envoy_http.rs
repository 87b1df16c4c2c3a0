//! Envoy's `ext_authz` with `http_service`: it sends the client's method, path and headers as they are,
//! and passes a refusal on whole.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use super::{
    deciding::{Asked, Deciding},
    http_answer::decided,
};

pub(super) fn answer(
    deciding: &Deciding,
    request: &Request<()>,
    peer: &Arc<str>,
) -> Response<Bytes> {
    let target = request.uri().path_and_query();
    let asked = Asked {
        peer,
        method: Some(request.method().as_str().as_bytes()),
        target: target.map(|target| target.as_str().as_bytes()),
        attribute: None,
        traceparent: None,
    };
    decided(deciding, asked, request.headers())
}
