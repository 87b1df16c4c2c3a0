//! The shape of a request and its target: what is refused, and how a target is written for the
//! upstream.

use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;

use crate::{error::ForwardError, field_block::HeadFault, target::Target};

/// Why a request cannot be carried, whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// Its method is for the proxy itself, and not for an upstream: `CONNECT` asks for a tunnel,
    /// and the response to `TRACE` shows the headers that are added here.
    #[error("`{0}` is not served")]
    Method(&'static str),
    /// Two servers could read its shape differently.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// HTTP/2 says that it is none.
    #[error("{0}")]
    Head(HeadFault),
}

/// Refuses what two servers could read differently, and what no upstream can be asked.
///
/// # Errors
/// When the request has such a shape.
pub fn check_shape<B>(request: &Request<B>) -> Result<(), MalformedRequest> {
    let ambiguous = |reason| Err(MalformedRequest::Ambiguous(reason));
    let headers = request.headers();
    // In any case: some servers read methods so.
    let is_named = |name: &&str| request.method().as_str().eq_ignore_ascii_case(name);
    if let Some(method) = ["CONNECT", "TRACE"].into_iter().find(is_named) {
        return Err(MalformedRequest::Method(method));
    }
    if request.uri().path() == "*" && *request.method() != Method::OPTIONS {
        return ambiguous("the target `*` with another method than `OPTIONS`");
    }
    // Most requests have neither, and what is there is seen in one pass.
    let (mut has_coding, mut has_length) = (false, false);
    for name in headers.keys() {
        has_coding |= name == TRANSFER_ENCODING;
        has_length |= name == CONTENT_LENGTH;
    }
    if has_coding {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !codings.next().is_some_and(is_chunked) || codings.next().is_some() {
            return ambiguous("a `transfer-encoding` other than `chunked`");
        }
        // The two are how requests are smuggled (RFC 9112 section 11.2).
        if has_length {
            return ambiguous("both `transfer-encoding` and `content-length`");
        }
    }
    if has_length {
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let first = lengths.next();
        if lengths.any(|other| Some(other) != first) {
            return ambiguous("two different values of `content-length`");
        }
        if first.is_some_and(is_beyond_any_body) {
            return ambiguous("a `content-length` beyond 2^63 - 1");
        }
    }
    if request.uri().authority().is_some() && request.uri().scheme().is_none() {
        return ambiguous("a target without a path");
    }
    check_host(request)?;
    let path = request.uri().path();
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return ambiguous("a control character in the path");
    }
    Ok(())
}

/// Whether a length is larger than servers can count with.
fn is_beyond_any_body(length: &HeaderValue) -> bool {
    const DIGITS: usize = "9223372036854775807".len();
    let count = || length.to_str().ok()?.trim().parse::<i64>().ok();
    length.len() >= DIGITS && count().is_none()
}

/// Refuses a request that names no host, two, or what is none (RFC 9112 section 3.2, RFC 9113
/// section 8.3.1).
///
/// # Errors
/// When it does.
pub fn check_host<B>(request: &Request<B>) -> Result<(), MalformedRequest> {
    let ambiguous = |reason| Err(MalformedRequest::Ambiguous(reason));
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return ambiguous("more than one `host`");
    }
    let authority = request.uri().authority();
    if request.version() == Version::HTTP_2
        && let (Some(authority), Some(host)) = (authority, first)
        && !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return ambiguous("`host` and `:authority` differ");
    }
    // Also where the target names one: servers differ in which of the two they go by.
    if first.is_none() && request.version() == Version::HTTP_11 {
        return ambiguous("no `host`");
    }
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let mut named = [authority, first.map(HeaderValue::as_bytes)]
        .into_iter()
        .flatten()
        .peekable();
    if named.peek().is_none() && request.version() > Version::HTTP_10 {
        return ambiguous("no `host`");
    }
    if !named.all(is_host) {
        return ambiguous("the host is not one");
    }
    Ok(())
}

/// Whether a text is a host and an optional port (RFC 3986 section 3.2.2). Browsers and SDKs send
/// underscores, which it allows; a user before `@` it does not.
fn is_host(text: &[u8]) -> bool {
    let (is_name, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some((address, port)) = split_at(rest, b']') else {
                return false;
            };
            let port = match port {
                [b':', port @ ..] => port,
                [] => port,
                _ => return false,
            };
            let address = str::from_utf8(address).unwrap_or_default();
            (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (name, port) = split_at(text, b':').unwrap_or((text, b""));
            let is_name = name.iter().all(|byte| is_of_a_name(*byte));
            (is_name && !name.is_empty(), port)
        }
    };
    is_name && is_port(port)
}

/// What is before and after the first such byte.
fn split_at(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|each| *each == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Whether a text is a port, or none.
fn is_port(text: &[u8]) -> bool {
    text.is_empty()
        || text.iter().all(u8::is_ascii_digit)
            && str::from_utf8(text).is_ok_and(|digits| digits.parse::<u16>().is_ok())
}

/// Whether a byte may stand in a registered name. Percent-encodings may too by RFC 3986, and nobody
/// resolves them.
const fn is_of_a_name(byte: u8) -> bool {
    /// A bit for each byte that may.
    const ALLOWED: u128 =
        marks(b"-._~!$&'()*+,;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    byte < 128 && ALLOWED >> byte & 1 == 1
}

/// A bit for each of these bytes.
const fn marks(mut bytes: &[u8]) -> u128 {
    let mut marks = 0;
    while let [byte, rest @ ..] = bytes {
        marks |= 1 << *byte;
        bytes = rest;
    }
    marks
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
    if target.options.http2 {
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        return set_target(request, Some((&target.scheme, &target.authority)));
    }
    let kept = target
        .options
        .preserve_host
        .then(|| host_of(request))
        .flatten();
    let host = kept.and_then(|host| HeaderValue::from_str(host).ok());
    let host = host.unwrap_or_else(|| target.host_header.clone());
    *request.version_mut() = Version::HTTP_11;
    let chunked = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    if chunked {
        // Otherwise hyper sends a GET without its body.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if request.uri().authority().is_none() {
        return Ok(());
    }
    set_target(request, None)
}

/// Turns the target of a request for another server of the same upstream into this one's. A `Host`
/// that is not the other server's own was chosen by the client or by a setting, and stays.
pub(crate) fn readdress<B>(
    from: &Target,
    to: &Target,
    request: &mut Request<B>,
) -> Result<(), ForwardError> {
    if to.options.http2 {
        return set_target(request, Some((&to.scheme, &to.authority)));
    }
    let host = request.headers_mut().get_mut(HOST);
    if let Some(host) = host
        && *host == from.host_header
        && !to.options.preserve_host
    {
        *host = to.host_header.clone();
    }
    Ok(())
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
        assert_eq!(check(connect), Err(MalformedRequest::Method("CONNECT")));
        for (method, refused) in [
            ("TRACE", "TRACE"),
            ("trace", "TRACE"),
            ("Connect", "CONNECT"),
        ] {
            let request = get("/").method(method);
            assert_eq!(check(request), Err(MalformedRequest::Method(refused)));
        }
        assert_eq!(check(get("*").method("OPTIONS")), Ok(()));
        let longest = get("/").header(CONTENT_LENGTH, "09223372036854775807");
        assert_eq!(check(longest), Ok(()));
        let chunked = get("/").header(TRANSFER_ENCODING, "Chunked");
        assert_eq!(check(chunked), Ok(()));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert_eq!(check(Request::get("http://a/").version(version)), Ok(()));
        }
        for request in [
            get("/")
                .header(TRANSFER_ENCODING, "chunked")
                .header(CONTENT_LENGTH, 1),
            get("/").header(TRANSFER_ENCODING, "gzip, chunked"),
            get("/").header(TRANSFER_ENCODING, "chunked, chunked"),
            get("/")
                .header(TRANSFER_ENCODING, "chunked")
                .header(TRANSFER_ENCODING, "chunked"),
            get("/").header(CONTENT_LENGTH, 1).header(CONTENT_LENGTH, 2),
            get("/").header(HOST, "b"),
            get("/").header(CONTENT_LENGTH, "9223372036854775808"),
            get("https://a/").header(HOST, "b").version(Version::HTTP_2),
            Request::get("/").version(Version::HTTP_2),
            Request::get("http://user@a/").header(HOST, "a"),
            Request::get("http://a/"),
            Request::get("http://a/").header(HOST, "a b"),
            get("a:443"),
            get("*"),
            Request::get("/"),
        ] {
            let refused = check(request);
            assert!(
                matches!(refused, Err(MalformedRequest::Ambiguous(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for host in [
            "a",
            "a.example:8443",
            "127.0.0.1",
            "[::1]",
            "[::1]:443",
            "a_b",
            "a:",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":443", "a b", "a/x", "[::1", "[::1]443", "[a]", "u@a", "a#x", "a:b", "a:99999",
            "a:+1", "a?x", "::1", "a\tb", "a%41", "a\\b",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
