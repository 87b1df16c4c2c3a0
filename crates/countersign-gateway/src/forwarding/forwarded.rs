//! What an upstream is told of the client's connection: `X-Forwarded-For`, `-Proto` and `-Host`, and
//! `Forwarded` (RFC 7239). All of them that a client sends are removed before these are added; what
//! it said is added to only where the configuration says that it is to be trusted.

use countersign_proxy::host_of;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{Entry, FORWARDED, HOST},
};

use crate::{
    connection::Connection,
    identity_headers::{claims_identity, tells_of_connection},
    options::{ForwardedAction, ForwardedHeaders},
};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the client says about its connection, noted before it is changed for the upstream.
#[derive(Debug)]
pub(super) struct FromClient {
    host: Option<HeaderValue>,
    /// The headers that are to be trusted.
    trusted: Vec<(HeaderName, HeaderValue)>,
}

impl FromClient {
    pub(super) fn of<B>(request: &Request<B>, settings: ForwardedHeaders) -> Self {
        let ForwardedHeaders {
            x_forwarded,
            forwarded,
        } = settings;
        let is = |action| x_forwarded == action || forwarded == action;
        let host = if is(ForwardedAction::Set) || is(ForwardedAction::Append) {
            host_header(request)
        } else {
            None
        };
        let trusted = if is(ForwardedAction::Append) {
            let trusted = |name: &HeaderName| is_trusted(name, settings);
            let headers = request.headers().iter();
            let headers = headers.filter(|(name, _)| trusted(name));
            headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        } else {
            Vec::new()
        };
        Self { host, trusted }
    }

    /// Adds what the upstream is told.
    pub(super) fn add(
        self,
        settings: ForwardedHeaders,
        connection: &Connection,
        headers: &mut HeaderMap,
    ) {
        for (name, value) in self.trusted {
            headers.append(name, value);
        }
        if settings.x_forwarded != ForwardedAction::Remove {
            add_last(headers, FOR, connection.address_header().clone());
            // Those before it saw how the client really came.
            let mut add = |name, value| {
                headers.entry(name).or_insert(value);
            };
            add(PROTO, HeaderValue::from_static("https"));
            if let Some(host) = &self.host {
                add(FORWARDED_HOST, host.clone());
            }
        }
        if settings.forwarded != ForwardedAction::Remove
            && let Some(element) = element(connection.address_header(), self.host.as_ref())
        {
            add_last(headers, FORWARDED, element);
        }
    }
}

/// Whether a header goes on as it came. In another spelling, with `_` for `-`, it was not written by
/// a proxy.
fn is_trusted(name: &HeaderName, settings: ForwardedHeaders) -> bool {
    let action = if name == FORWARDED {
        settings.forwarded
    } else {
        settings.x_forwarded
    };
    let is_one = || {
        let text = name.as_str();
        let is_spelled_so = !text.contains('_') && !text.contains('.');
        is_spelled_so && tells_of_connection(text) && !claims_identity(text)
    };
    action == ForwardedAction::Append && is_one()
}

/// The host that a request names. Over HTTP/1.1 it is a header already.
fn host_header<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.uri().authority().is_none() {
        return request.headers().get(HOST).cloned();
    }
    HeaderValue::from_str(host_of(request)?).ok()
}

/// Puts a value at the end of a list, which then has one line.
fn add_last(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut place) => {
            let lines = place.iter().chain([&value]);
            let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
            if let Ok(list) = HeaderValue::from_bytes(&lines.join(&b", "[..])) {
                place.insert(list);
            }
        }
    }
}

/// This hop as an element of `Forwarded`. What is no token is quoted (RFC 7239 section 4): IPv6
/// addresses, which stand in brackets, and hosts, whose ports begin with a colon.
fn element(address: &HeaderValue, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let address = address.to_str().ok()?;
    let mut text = if address.contains(':') {
        format!("for=\"[{address}]\"")
    } else {
        format!("for={address}")
    };
    // A host that was accepted has neither a quote nor a backslash.
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        text.push_str(";host=\"");
        text.push_str(host);
        text.push('"');
    }
    text.push_str(";proto=https");
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use countersign_verify::presented::Presented;

    use super::*;

    const SENT: [(&str, &str); 6] = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "80"),
        ("x_forwarded_for", "198.51.100.2"),
        ("x-forwarded-client-cert", "Hash=0"),
        ("forwarded", "for=198.51.100.3"),
    ];

    /// The headers that an upstream gets, when a client at this address sent the ones above.
    fn upstream_gets(
        peer: &str,
        x_forwarded: ForwardedAction,
        forwarded: ForwardedAction,
    ) -> Vec<String> {
        let settings = ForwardedHeaders {
            x_forwarded,
            forwarded,
        };
        let mut request = Request::get("/").header(HOST, "a.example:8443");
        for (name, value) in SENT {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let peer: SocketAddr = peer.parse().unwrap();
        let connection = Connection::new(Presented::default(), peer, None);
        let mut headers = HeaderMap::new();
        FromClient::of(&request, settings).add(settings, &connection, &mut headers);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn an_upstream_is_told_what_the_gateway_saw() {
        use ForwardedAction::{Append, Remove, Set};
        assert_eq!(
            upstream_gets("[::ffff:192.0.2.1]:9", Set, Remove),
            [
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: https"
            ]
        );
        assert_eq!(
            upstream_gets("[2001:db8::1]:9", Remove, Set),
            ["forwarded: for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https"]
        );
        assert!(upstream_gets("192.0.2.1:9", Remove, Remove).is_empty());
        assert_eq!(
            upstream_gets("192.0.2.1:9", Append, Append),
            [
                "forwarded: for=198.51.100.3, for=192.0.2.1;host=\"a.example:8443\";proto=https",
                "x-forwarded-for: 198.51.100.1, 192.0.2.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-port: 80",
                "x-forwarded-proto: http"
            ]
        );
    }
}
