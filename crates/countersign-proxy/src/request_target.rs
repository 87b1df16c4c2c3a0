//! The shape of a request and its target: what is refused, and how a target is written for the
//! upstream.

use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;

use crate::{error::ForwardError, headers, target::Target};

/// Why a request cannot be carried, whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// It asks for a tunnel.
    #[error("`CONNECT` is not served")]
    Connect,
    /// Two servers could read its shape differently.
    #[error("{0}")]
    Ambiguous(&'static str),
}

/// Refuses what two servers could read differently, and what no upstream can be asked.
///
/// # Errors
/// When the request has such a shape.
pub fn check_shape<B>(request: &Request<B>) -> Result<(), MalformedRequest> {
    let ambiguous = |reason| Err(MalformedRequest::Ambiguous(reason));
    let headers = request.headers();
    if request.method() == Method::CONNECT {
        return Err(MalformedRequest::Connect);
    }
    // The two are how requests are smuggled (RFC 9112 section 11.2).
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return ambiguous("both `transfer-encoding` and `content-length`");
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return ambiguous("more than one `host`");
    }
    if host_of(request).is_some_and(|host| host.contains('@')) {
        return ambiguous("a user in the authority");
    }
    if request.version() == Version::HTTP_11 && host_of(request).is_none() {
        return ambiguous("no `host`");
    }
    let path = request.uri().path();
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return ambiguous("a control character in the path");
    }
    Ok(())
}

/// The host that a request names: its authority in HTTP/2, its `Host` header otherwise.
#[must_use]
pub fn host_of<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(Authority::as_str);
    authority.or_else(|| {
        request
            .headers()
            .get(HOST)
            .and_then(|value| value.to_str().ok())
    })
}

/// Turns the request's target into the upstream's.
pub(crate) fn address<B: Body>(
    target: &Target,
    request: &mut Request<B>,
) -> Result<(), ForwardError> {
    if target.http2 {
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        return set_target(request, Some((&target.scheme, &target.authority)));
    }
    let kept = target.preserve_host.then(|| host_of(request)).flatten();
    let host = kept.and_then(|host| HeaderValue::from_str(host).ok());
    let host = host.unwrap_or_else(|| target.host_header.clone());
    *request.version_mut() = Version::HTTP_11;
    let chunked = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers::join_cookies(headers);
    if chunked {
        // Otherwise hyper sends a GET without its body.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if request.uri().authority().is_none() {
        return Ok(());
    }
    set_target(request, None)
}

/// Keeps only the path of the request's target, and puts a scheme and an authority before it.
fn set_target<B>(
    request: &mut Request<B>,
    before: Option<(&Scheme, &Authority)>,
) -> Result<(), ForwardError> {
    let path = request.uri().path_and_query().cloned();
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    if let Some((scheme, authority)) = before {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| ForwardError::RequestTarget)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::request::Builder;

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        let get = |target: &str| Request::get(target).header(HOST, "a");
        let check = |request: Builder| check_shape(&request.body(()).unwrap());
        assert_eq!(check(get("/v1/echo")), Ok(()));
        let connect = Request::connect("a:443");
        assert_eq!(check(connect), Err(MalformedRequest::Connect));
        for request in [
            get("/")
                .header(TRANSFER_ENCODING, "chunked")
                .header(CONTENT_LENGTH, 1),
            get("/").header(HOST, "b"),
            Request::get("http://user@a/"),
            Request::get("/"),
        ] {
            let refused = check(request);
            assert!(
                matches!(refused, Err(MalformedRequest::Ambiguous(_))),
                "{refused:?}"
            );
        }
    }
}
