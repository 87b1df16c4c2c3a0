//! What the gateway itself serves: exchanges, and the public keys of tokens.

use bytes::Bytes;
use countersign_proxy::{ClientBody, check_shape, host_of, leave_body};
use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};

use super::{endpoint, public_keys, serving::Serving};
use crate::{options::TokenExchange, refusal::refused::Refusal};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Whatever is asked for under a host name of exchanges.
    Exchange,
    /// The public keys of tokens.
    PublicKeys,
}

impl Own {
    /// What a request is for, if it is for something of ours. One that is malformed is refused as any other.
    pub(crate) fn of<B>(options: &TokenExchange, request: &Request<B>) -> Option<Self> {
        if options.hosts.is_empty() {
            return None;
        }
        let is_keys = request.uri().path() == public_keys::PATH && *request.method() == Method::GET;
        let own = if host_of(request).is_some_and(|host| options.serves(host)) {
            Self::Exchange
        } else if is_keys {
            Self::PublicKeys
        } else {
            return None;
        };
        check_shape(request).is_ok().then_some(own)
    }

    /// The response; and why it is refused, if it is.
    pub(crate) async fn answer(
        self,
        serving: Serving<'_>,
        request: Request<ClientBody>,
    ) -> (Response<Bytes>, Option<Refusal>) {
        match self {
            Self::Exchange => endpoint::answer(serving, request).await,
            Self::PublicKeys => {
                let (shared, connection) = (serving.shared, serving.connection);
                let version = request.version();
                leave_body(request.into_body(), version, &connection.client);
                let keys = shared.public_keys.of(&shared.snapshot.load(), shared.now());
                let mut response = Response::new(keys);
                let kind = HeaderValue::from_static("application/jwk-set+json");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                (response, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Version;

    #[test]
    fn a_host_of_exchanges_serves_nothing_else_and_others_show_the_keys() {
        let options = TokenExchange {
            hosts: vec!["auth.example".to_owned()],
        };
        let of = |method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri);
            let request = request.version(Version::HTTP_2).body(()).unwrap();
            Own::of(&options, &request)
        };
        for (method, uri, own) in [
            (
                "POST",
                "https://auth.example/oauth/token",
                Some(Own::Exchange),
            ),
            (
                "GET",
                "https://AUTH.example:443/v1/models",
                Some(Own::Exchange),
            ),
            (
                "GET",
                "https://auth.example/.well-known/jwks.json",
                Some(Own::Exchange),
            ),
            (
                "GET",
                "https://api.example/.well-known/jwks.json",
                Some(Own::PublicKeys),
            ),
            ("POST", "https://api.example/.well-known/jwks.json", None),
            ("POST", "https://api.example/oauth/token", None),
            ("TRACE", "https://auth.example/oauth/token", None),
        ] {
            assert_eq!(of(method, uri), own, "{method} {uri}");
        }
        let request = Request::get("https://auth.example/").body(()).unwrap();
        assert_eq!(Own::of(&TokenExchange::default(), &request), None);
    }
}
