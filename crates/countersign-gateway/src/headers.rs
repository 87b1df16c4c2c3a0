//! Headers on their way through the door: what belongs to one hop is taken off, what claims an
//! identity is taken off, and the identity that was proved is put on.

use countersign_types::id::RequestId;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE},
};

/// Names that start so are ours alone.
const OWN_PREFIX: &str = "x-countersign-";

/// Other names by which an upstream may be told of a client certificate: RFC 9440, and Envoy's.
const CLIENT_CERTIFICATE_NAMES: [&str; 3] = [
    "client-cert",
    "client-cert-chain",
    "x-forwarded-client-cert",
];

pub(crate) const ORGANIZATION: HeaderName = HeaderName::from_static("x-countersign-organization");
pub(crate) const PROJECT: HeaderName = HeaderName::from_static("x-countersign-project");
pub(crate) const KEY: HeaderName = HeaderName::from_static("x-countersign-key");
pub(crate) const CERTIFICATE: HeaderName = HeaderName::from_static("x-countersign-certificate");
pub(crate) const LEAF_SHA256: HeaderName = HeaderName::from_static("x-countersign-leaf-sha256");
pub(crate) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
pub(crate) const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
pub(crate) const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many headers say upstream who is calling.
pub(crate) const INTRODUCTION: usize = 6;

/// Whether a header is of one hop, whatever `Connection` says (RFC 9110 section 7.6.1).
fn of_one_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// A request's id as a header. It never comes again, so HTTP/2 must not give it a place in the table
/// of its connection, where it would drive out what does.
pub(crate) fn request_id(id: &RequestId) -> HeaderValue {
    let mut value = HeaderValue::from_str(id.as_str()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Whether a name, as a server that folds `_` into `-` would read it, claims an identity.
fn claims_identity(name: &str) -> bool {
    let same = |wanted: &str, given: &str| {
        wanted.len() == given.len()
            && wanted.bytes().zip(given.bytes()).all(|(want, got)| {
                want == if got == b'_' {
                    b'-'
                } else {
                    got.to_ascii_lowercase()
                }
            })
    };
    // Every name that is meant begins so, and few others do.
    if !name.starts_with(['x', 'X', 'c', 'C']) {
        return false;
    }
    name.get(..OWN_PREFIX.len())
        .is_some_and(|head| same(OWN_PREFIX, head))
        || CLIENT_CERTIFICATE_NAMES
            .iter()
            .any(|known| same(known, name))
}

/// Takes off every header that claims an identity: of a request, and of its trailers.
pub(crate) fn strip_identity(headers: &mut HeaderMap) {
    strip(headers, |name| claims_identity(name.as_str()));
}

/// Takes off what is unwelcome, in one pass: mostly there is nothing.
fn strip(headers: &mut HeaderMap, unwelcome: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers
        .keys()
        .filter(|name| unwelcome(name))
        .cloned()
        .collect();
    for name in found {
        headers.remove(name);
    }
}

/// Takes off what `Connection` names.
fn strip_named(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// The protocol that a request asks to change to, if it does so properly: HTTP/1.1, an `Upgrade`
/// header and the word in `Connection` (RFC 9110 section 7.8). Another HTTP is not carried: its
/// requests would reach the upstream unjudged, with any header that the client likes.
pub(crate) fn upgrade_wanted(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = version == Version::HTTP_11
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let wanted = asked.then(|| headers.get(UPGRADE)).flatten()?;
    let text = wanted.to_str().ok()?;
    (!text.split(',').any(carries_requests)).then(|| wanted.clone())
}

/// Whether a protocol is another HTTP, or what HTTP may follow within.
fn carries_requests(protocol: &str) -> bool {
    let name = protocol.trim().split('/').next().unwrap_or_default();
    ["h2c", "h2", "http", "tls"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Readies a request's headers for the upstream; an upgrade that was asked for is asked again.
pub(crate) fn to_upstream(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    let trailers_welcome = headers
        .get(TE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|token| token.trim() == "trailers"));
    strip_named(headers);
    // The body is asked for when it is read, so the upstream need not ask again.
    let unwelcome =
        |name: &HeaderName| of_one_hop(name) || name == EXPECT || claims_identity(name.as_str());
    strip(headers, unwelcome);
    if trailers_welcome {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// Joins the lines that HTTP/2 may split a cookie into (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().count() < 2 {
        return;
    }
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(whole) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Readies a response's headers for the client; a 101 keeps what makes it one.
pub(crate) fn to_client(headers: &mut HeaderMap, switching: bool) {
    let upgrade = if switching {
        headers.get(UPGRADE).cloned()
    } else {
        None
    };
    // What was chunked has no length that can be believed (RFC 9112 section 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_named(headers);
    strip(headers, of_one_hop);
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn no_spelling_of_an_identity_header_gets_through() {
        let mut headers = map(&[
            ("x-countersign-project", "proj_evil"),
            ("X-Countersign-Project", "proj_evil2"),
            ("x_countersign_project", "proj_evil3"),
            ("X-Countersign_Anything", "1"),
            ("client-cert", ":AAAA:"),
            ("Client_Cert_Chain", ":AAAA:"),
            ("x-forwarded_client-cert", "Hash=1"),
            ("accept", "*/*"),
        ]);
        to_upstream(&mut headers, None);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["accept"]
        );
    }

    #[test]
    fn hop_by_hop_headers_stay_on_their_hop() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Drop-Me"),
            ("connection", "close"),
            ("x-drop-me", "1"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("proxy-authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("content-length", "3"),
        ]);
        to_upstream(&mut headers, None);
        assert_eq!(headers, map(&[("content-length", "3"), ("te", "trailers")]));
    }

    #[test]
    fn a_chunked_answer_claims_no_length() {
        let mut headers = map(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        to_client(&mut headers, false);
        assert!(headers.is_empty());
        let mut headers = map(&[("content-length", "3")]);
        to_client(&mut headers, false);
        assert_eq!(headers, map(&[("content-length", "3")]));
    }

    #[test]
    fn the_lines_of_a_cookie_become_one() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut headers);
        assert_eq!(headers, map(&[("cookie", "a=1; b=2; c=3")]));
    }

    #[test]
    fn an_upgrade_needs_both_headers_and_the_right_version() {
        let asked = map(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(
            upgrade_wanted(Version::HTTP_11, &asked).unwrap(),
            "websocket"
        );
        assert!(upgrade_wanted(Version::HTTP_10, &asked).is_none());
        assert!(upgrade_wanted(Version::HTTP_11, &map(&[("upgrade", "websocket")])).is_none());
        for other_http in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2"] {
            let asked = map(&[("connection", "upgrade"), ("upgrade", other_http)]);
            assert!(
                upgrade_wanted(Version::HTTP_11, &asked).is_none(),
                "{other_http}"
            );
        }
    }
}
