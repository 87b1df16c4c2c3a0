//! Headers between client and upstream: what belongs to one hop stays on it, and what clients may
//! not set is removed.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, TE, UPGRADE},
};

/// Whether a header belongs to one hop, whatever `Connection` says (RFC 9110 section 7.6.1).
fn is_of_one_hop(name: &str) -> bool {
    matches!(
        name,
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

/// Whether a header says how a request is read, where it goes or who sends it: a trailer comes too
/// late for that, and a server that merges trailers into the headers would believe it (RFC 9110
/// section 6.5.1).
pub(crate) fn is_no_trailer(name: &HeaderName) -> bool {
    is_of_one_hop(name.as_str())
        || matches!(
            name.as_str(),
            "authorization"
                | "cache-control"
                | "content-encoding"
                | "content-length"
                | "content-range"
                | "content-type"
                | "cookie"
                | "expect"
                | "host"
                | "max-forwards"
                | "set-cookie"
                | "traceparent"
                | "tracestate"
                | "trailer"
        )
}

/// Leaves one length where the same is said more than once (RFC 9110 section 8.6), and none where
/// they differ.
fn settle_length(headers: &mut HeaderMap) {
    let mut lengths = headers
        .get_all(CONTENT_LENGTH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim);
    let first = lengths.next().unwrap_or_default();
    let one = HeaderValue::from_str(first).ok();
    match one.filter(|_| lengths.all(|other| other == first)) {
        Some(one) => headers.insert(CONTENT_LENGTH, one),
        None => headers.remove(CONTENT_LENGTH),
    };
}

/// Removes unwanted headers. Usually there are none, and then nothing is allocated.
pub(crate) fn remove_all(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers
        .keys()
        .filter(|name| unwanted(name))
        .cloned()
        .collect();
    for name in found {
        headers.remove(name);
    }
}

/// What one pass over headers finds, so that what is not there, which is most of it, is not looked up.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// To be removed, `connection` apart, which is what most messages have.
    unwanted: Vec<HeaderName>,
    connection: bool,
    /// `connection` names others.
    names_others: bool,
    content_length: bool,
    /// There is more than one length.
    lengths: bool,
    transfer_encoding: bool,
    accepts_trailers: bool,
    pub(crate) upgrade: bool,
    /// Lines of cookies.
    cookies: usize,
}

impl Found {
    pub(crate) fn of(headers: &HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let is_removed = match name.as_str() {
                "connection" => {
                    found.connection = true;
                    found.names_others |= !matches!(value.as_bytes(), b"keep-alive" | b"close");
                    false
                }
                "content-length" => {
                    found.lengths |= found.content_length || value.as_bytes().contains(&b',');
                    found.content_length = true;
                    is_unwanted(name)
                }
                "cookie" => {
                    found.cookies += 1;
                    is_unwanted(name)
                }
                "te" => {
                    found.accepts_trailers |= accepts_trailers(value);
                    true
                }
                "transfer-encoding" => {
                    found.transfer_encoding = true;
                    true
                }
                "upgrade" => {
                    found.upgrade = true;
                    true
                }
                other => is_of_one_hop(other) || is_unwanted(name),
            };
            if is_removed {
                found.unwanted.push(name.clone());
            }
        }
        found
    }

    /// Removes what is unwanted, and what `Connection` names.
    fn remove_unwanted(self, headers: &mut HeaderMap) {
        if self.names_others {
            for name in named_by_connection(headers) {
                headers.remove(name);
            }
        }
        if self.connection {
            headers.remove(CONNECTION);
        }
        for name in self.unwanted {
            headers.remove(name);
        }
    }
}

fn accepts_trailers(te: &HeaderValue) -> bool {
    let mut codings = te.to_str().unwrap_or_default().split(',');
    codings.any(|coding| coding.trim() == "trailers")
}

/// What `Connection` names. What is removed in any case need not be looked for.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !is_of_one_hop(token))
        .filter_map(|token| token.parse().ok())
        .collect()
}

/// Turns a client's headers into those for the upstream. An upgrade that the client asked for is
/// asked for again.
pub(crate) fn to_upstream(headers: &mut HeaderMap, found: Found, upgrade: Option<HeaderValue>) {
    if found.lengths {
        settle_length(headers);
    }
    if found.cookies > 1 {
        join_cookies(headers);
    }
    let accepts_trailers = found.accepts_trailers;
    found.remove_unwanted(headers);
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// Whether a client's header is not for the upstream. `expect` is answered here, when the body is
/// read: the upstream need not answer it again.
pub(crate) fn is_not_for_upstream(
    name: &HeaderName,
    is_reserved: impl Fn(&HeaderName) -> bool,
) -> bool {
    name == EXPECT || is_reserved(name)
}

/// Joins the lines that HTTP/2 may split a cookie into (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(whole) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Writes headers as HTTP/1.1 has them.
pub(crate) fn write(headers: &HeaderMap, bytes: &mut Vec<u8>) {
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

/// Turns an upstream's headers into those for the client. A 101 keeps the protocol it changes to, and a
/// 426 those that it asks for (RFC 9110 section 15.5.22).
pub(crate) fn to_client(headers: &mut HeaderMap, status: StatusCode) {
    let upgrade = match status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => {
            headers.get(UPGRADE).cloned()
        }
        _ => None,
    };
    let found = Found::of(headers, |_| false);
    // Beside a transfer coding, a length must be ignored (RFC 9112 section 6.3).
    if found.content_length {
        // A response without content has none (RFC 9110 section 8.6).
        if found.transfer_encoding || status == StatusCode::NO_CONTENT {
            headers.remove(CONTENT_LENGTH);
        } else if found.lengths {
            settle_length(headers);
        }
    }
    found.remove_unwanted(headers);
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
    fn hop_by_hop_headers_stay_on_their_hop() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Drop-Me"),
            ("connection", "close"),
            ("x-drop-me", "1"),
            ("x-reserved", "1"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("proxy-authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("content-length", "3"),
        ]);
        let found = Found::of(&headers, |name| {
            is_not_for_upstream(name, |name| name == "x-reserved")
        });
        to_upstream(&mut headers, found, None);
        assert_eq!(headers, map(&[("content-length", "3"), ("te", "trailers")]));
    }

    #[test]
    fn a_length_that_is_said_twice_goes_on_once() {
        for (lengths, left) in [
            (&["3", "3"][..], &["3"][..]),
            (&["3, 3"], &["3"]),
            (&["3", "4"], &[]),
            (&["3,4"], &[]),
            (&["3"], &["3"]),
        ] {
            let of = |lengths: &[&str]| {
                let mut headers = HeaderMap::new();
                for length in lengths {
                    headers.append(CONTENT_LENGTH, HeaderValue::from_str(length).unwrap());
                }
                headers
            };
            let mut headers = of(lengths);
            to_client(&mut headers, StatusCode::OK);
            assert_eq!(headers, of(left), "{lengths:?} to the client");
            let mut headers = of(lengths);
            let found = Found::of(&headers, |_| false);
            to_upstream(&mut headers, found, None);
            assert_eq!(headers, of(left), "{lengths:?} to the upstream");
        }
    }

    #[test]
    fn a_trailer_says_nothing_about_its_request() {
        for name in [
            "host",
            "Authorization",
            "content-length",
            "te",
            "traceparent",
        ] {
            assert!(is_no_trailer(&name.parse().unwrap()), "{name}");
        }
        for name in ["grpc-status", "x-checksum", "digest"] {
            assert!(!is_no_trailer(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_chunked_answer_claims_no_length() {
        let mut headers = map(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        to_client(&mut headers, StatusCode::OK);
        assert!(headers.is_empty());
        let mut headers = map(&[("content-length", "3")]);
        to_client(&mut headers, StatusCode::OK);
        assert_eq!(headers, map(&[("content-length", "3")]));
        to_client(&mut headers, StatusCode::NO_CONTENT);
        assert!(headers.is_empty());
    }

    #[test]
    fn the_lines_of_a_cookie_become_one() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        let found = Found::of(&headers, |_| false);
        to_upstream(&mut headers, found, None);
        assert_eq!(headers, map(&[("cookie", "a=1; b=2; c=3")]));
    }
}
