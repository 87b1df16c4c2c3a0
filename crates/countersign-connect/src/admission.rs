//! Who is let in. A port of loopback can be reached by every user of the machine, and by every page that a
//! browser on it shows: the one has no token, the other names itself or a host of its own.

use std::net::IpAddr;

use countersign_proxy::{check_shape, host_of};
use countersign_types::error::ErrorCode;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, ORIGIN, REFERER},
    uri::{Parts, PathAndQuery},
};

use crate::{
    answer::Refusal,
    server::{Server, split_port},
    token::{Token, has_token},
};

/// Says where a browser's request comes from.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The hosts by which a listener may be called.
#[derive(Debug, Clone)]
pub enum OwnHosts {
    /// Any: nothing but a process of this user reaches it.
    Any,
    /// An address, `localhost`, and these names. A page that has its name lead here (DNS rebinding) still
    /// sends that name.
    Known(Vec<String>),
}

/// What a request must have to be carried.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It came to the forwarder itself, as to a server.
    BaseUrl {
        hosts: OwnHosts,
        token: Option<Token>,
        /// The forwarder sets the API key: a tool may send the token in its place.
        sets_key: bool,
    },
    /// It came through a tunnel to the server, for which the token was asked.
    Tunnel,
}

impl Admission {
    /// Checks a request, and takes the token off its path.
    pub(crate) fn check<B>(
        &self,
        request: &mut Request<B>,
        server: &Server,
    ) -> Result<(), Refusal> {
        check_shape(request)?;
        match self {
            Self::Tunnel => check_tunnelled(request, server),
            Self::BaseUrl {
                hosts,
                token,
                sets_key,
            } => {
                check_host(hosts, request)?;
                match token {
                    Some(token) => check_token(token, *sets_key, request),
                    None => Ok(()),
                }
            }
        }
    }
}

fn check_tunnelled<B>(request: &Request<B>, server: &Server) -> Result<(), Refusal> {
    if host_of(request).is_none_or(|host| server.is_called(host)) {
        return Ok(());
    }
    let message = format!(
        "the request names another host than the tunnel that it came through, which leads to {}",
        server.authority()
    );
    Err(Refusal::new(ErrorCode::BadRequest, message))
}

fn check_host<B>(hosts: &OwnHosts, request: &Request<B>) -> Result<(), Refusal> {
    let OwnHosts::Known(known) = hosts else {
        return Ok(());
    };
    let called = host_of(request).unwrap_or_default();
    let (host, _) = split_port(called);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_own = bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || known.iter().any(|name| name.eq_ignore_ascii_case(host));
    if !is_own {
        return Err(Refusal::new(
            ErrorCode::BadRequest,
            "the `Host` of the request is not this forwarder; `--allow-host NAME` lets it be called so",
        ));
    }
    if is_foreign_page(request.headers(), called) {
        return Err(Refusal::new(
            ErrorCode::BadRequest,
            "the request comes from a web page (`Origin`, `Sec-Fetch-Site`), and pages are not let in",
        ));
    }
    Ok(())
}

/// Whether a page of another origin sends this. Of what a page merely shows, such as an image, browsers say no
/// origin, but that it crosses sites (Fetch Metadata, `Sec-Fetch-Site`).
fn is_foreign_page(headers: &HeaderMap, called: &str) -> bool {
    let foreign = headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.strip_prefix("http://") != Some(called)
    });
    let site = headers.get(SITE).map(HeaderValue::as_bytes);
    foreign || matches!(site, Some(b"cross-site" | b"same-site"))
}

fn check_token<B>(token: &Token, sets_key: bool, request: &mut Request<B>) -> Result<(), Refusal> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", PathAndQuery::as_str);
    if let Some(rest) = token.strip(target) {
        let rest = match rest {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            rest => rest.to_owned(),
        };
        let mut parts = Parts::default();
        parts.path_and_query = rest.parse().ok();
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        // It would name a base URL with the token, which is not for the server to know.
        request.headers_mut().remove(REFERER);
        return Ok(());
    }
    if sets_key && bearer(request.headers()).is_some_and(|given| token.is(given)) {
        return Ok(());
    }
    let message = if has_token(target) {
        "the token in the path is wrong: use the base URL that the forwarder printed when it started"
    } else {
        "the token is missing: use the whole base URL that the forwarder printed when it started"
    };
    Err(Refusal::new(ErrorCode::InvalidApiKey, message))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;

    const TOKEN: &str = "0123456789abcdef";

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_token_is_wanted_and_taken_off() {
        let token = Token::new(TOKEN).unwrap();
        for (target, key, left) in [
            ("/t/0123456789abcdef/v1/a?b=c", "", Some("/v1/a?b=c")),
            ("/t/0123456789abcdef", "", Some("/")),
            ("/t/0123456789abcdef?b", "", Some("/?b")),
            ("/v1/a", "Bearer 0123456789abcdef", Some("/v1/a")),
            ("/v1/a", "Bearer 0123456789abcdeg", None),
            ("/v1/a", "", None),
            ("/t/0123456789abcdeg/v1", "", None),
        ] {
            let referer = format!("http://127.0.0.1:9000/t/{TOKEN}/v1");
            let headers = [("authorization", key), ("referer", &*referer)];
            let mut request = request(target, &headers);
            let checked = check_token(&token, true, &mut request);
            assert_eq!(checked.is_ok(), left.is_some(), "{target}");
            if let Some(left) = left {
                assert_eq!(request.uri().to_string(), left);
            }
            if target.contains(TOKEN) {
                assert!(!request.headers().contains_key(REFERER));
            }
            if let Err(refusal) = checked {
                assert!(!refusal.message.contains(TOKEN));
            }
        }
        let mut with_key = request("/v1/a", &[("authorization", "Bearer 0123456789abcdef")]);
        assert!(check_token(&token, false, &mut with_key).is_err());
    }

    #[test]
    fn a_page_that_leads_its_name_here_is_refused() {
        let hosts = OwnHosts::Known(vec!["host.docker.internal".to_owned()]);
        for (host, origin, passes) in [
            ("127.0.0.1:9000", None, true),
            ("[::1]:9000", None, true),
            ("localhost:9000", None, true),
            ("host.docker.internal:9000", None, true),
            ("rebound.example:9000", None, false),
            ("127.0.0.1:9000", Some("http://127.0.0.1:9000"), true),
            ("127.0.0.1:9000", Some("http://127.0.0.1:9001"), false),
            ("127.0.0.1:9000", Some("https://page.example"), false),
            ("127.0.0.1:9000", Some("null"), false),
        ] {
            let mut headers = vec![(HOST.as_str(), host)];
            headers.extend(origin.map(|origin| (ORIGIN.as_str(), origin)));
            let checked = check_host(&hosts, &request("/", &headers));
            assert_eq!(checked.is_ok(), passes, "{host} {origin:?}");
        }
        let shown = [
            (HOST.as_str(), "127.0.0.1:9000"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(check_host(&hosts, &request("/", &shown)).is_err());
        let anything = request("/", &[("host", "rebound.example")]);
        assert!(check_host(&OwnHosts::Any, &anything).is_ok());
    }
}
