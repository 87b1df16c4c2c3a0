//! Addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 8085;

/// Reads an address to listen on: an IP address and a port.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let wanted = "write an IP address and a port, such as `127.0.0.1:8085`";
        match likely_address(text) {
            Some(likely) => format!("{wanted}; did you mean `{likely}`?"),
            None => wanted.to_owned(),
        }
    })
}

/// What was probably meant by a text that is no address and port.
pub(super) fn likely_address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default();
    if let Ok(address) = bare.parse() {
        return Some(address);
    }
    if let Ok(ip) = bare.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, DEFAULT_PORT));
    }
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => match bare.parse() {
            Ok(port) => ("", port),
            Err(_) => (bare, DEFAULT_PORT),
        },
    };
    let ip = match host {
        "" | "localhost" => Ipv4Addr::LOCALHOST,
        "*" => Ipv4Addr::UNSPECIFIED,
        _ => return None,
    };
    Some(SocketAddr::new(ip.into(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_said_where_it_can_be_told() {
        for (text, likely) in [
            ("localhost:8085", Some("127.0.0.1:8085")),
            ("localhost", Some("127.0.0.1:8085")),
            ("8443", Some("127.0.0.1:8443")),
            (":8443", Some("127.0.0.1:8443")),
            ("*:8443", Some("0.0.0.0:8443")),
            ("127.0.0.1", Some("127.0.0.1:8085")),
            ("::1", Some("[::1]:8085")),
            ("http://127.0.0.1:9000/v1", Some("127.0.0.1:9000")),
            ("127.0.0.1:99999", None),
            ("example.com:80", None),
        ] {
            let found = likely_address(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), likely, "{text}");
        }
        let error = listen_address("localhost:1").unwrap_err();
        assert!(error.ends_with("did you mean `127.0.0.1:1`?"), "{error}");
    }
}
