//! The span of one request. The attributes have the names of OpenTelemetry's semantic conventions for HTTP
//! servers where they have one, and no query, key or body.

use countersign_trace::{Attribute, Side, Span, Spans, Value};
use http::{Method, Version};

use crate::{
    access_log::record::{Ended, PERMIT, Record},
    request_span::RequestSpan,
};

/// Hands the span of a request on, if it is recorded.
pub(crate) fn hand_over(record: &Record, ended: &Ended, spans: &Spans) {
    let Some(span) = record.span() else {
        return;
    };
    let method = record.method().map_or(OTHER_METHOD, known);
    let name = match (record.door(), &span.route) {
        (Some(door), _) => format!("decision {door}"),
        (None, Some(route)) => format!("{method} {route}"),
        (None, None) => method.to_owned(),
    };
    spans.offer(Span {
        trace: span.recorded.ids.trace,
        id: span.recorded.ids.span,
        side: Side::Server,
        parent: span.recorded.given.map(|given| given.parent),
        name,
        time: spans.time_of(ended.duration),
        attributes: attributes(span, method, record, ended),
        failed: ended.status.is_server_error(),
    });
}

fn attributes(span: &RequestSpan, method: &str, record: &Record, ended: &Ended) -> Vec<Attribute> {
    let text = |key: &'static str, text: Option<&str>| Some((key, Value::from(text?)));
    let (host, port) = span.host.as_deref().map_or((None, None), name_and_port);
    let version = span.version.map(|version| match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    });
    // Of a decision, the peer is the proxy that asks, and how its client reached it is not known here.
    let door = record.door();
    let peer = door.map_or("client.address", |_| "network.peer.address");
    let scheme = Some("https").filter(|_| door.is_none());
    let code = record.code().map_or(PERMIT, |code| code.as_str());
    let status = ended.status;
    // A server's own failure has a code here; an upstream's is named by its status.
    let error_type = || record.code().map_or(status.as_str(), |code| code.as_str());
    let error_type = status.is_server_error().then(error_type);
    let all = [
        text("http.request.method", Some(method)),
        Some(("http.response.status_code", Value::from(status.as_u16()))),
        text("http.route", span.route.as_deref()),
        text("url.path", record.path()),
        text("url.scheme", scheme),
        text("network.protocol.version", version),
        text("server.address", host),
        port.map(|port| ("server.port", Value::from(port))),
        text(peer, record.peer_address()),
        text("error.type", error_type),
        text(
            "countersign.request_id",
            record.request_id().map(|id| id.as_str()),
        ),
        text("countersign.door", door),
        text("countersign.organization", record.organization()),
        text("countersign.project", record.project()),
        text("countersign.key", record.key()),
        text("countersign.code", Some(code)),
    ];
    all.into_iter().flatten().collect()
}

/// What a method is called that is none of the usual ones, of which clients may invent any number.
const OTHER_METHOD: &str = "_OTHER";

fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "CONNECT") => {
            known
        }
        _ => OTHER_METHOD,
    }
}

/// A host's name, and its port, if it has one.
fn name_and_port(host: &str) -> (Option<&str>, Option<u16>) {
    let port = host.rsplit_once(':').and_then(|(name, port)| {
        let port = port.parse().ok()?;
        Some((name, port))
    });
    match port {
        Some((name, port)) => (Some(name), Some(port)),
        None => (Some(host), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_split_from_its_port() {
        for (host, name, port) in [
            ("a.example", "a.example", None),
            ("a.example:8443", "a.example", Some(8443)),
            ("[::1]:443", "[::1]", Some(443)),
            ("[::1]", "[::1]", None),
        ] {
            assert_eq!(name_and_port(host), (Some(name), port), "{host}");
        }
    }

    #[test]
    fn methods_that_clients_invent_are_one() {
        assert_eq!(known(&Method::GET), "GET");
        assert_eq!(known(&Method::from_bytes(b"BREW").unwrap()), OTHER_METHOD);
    }
}
