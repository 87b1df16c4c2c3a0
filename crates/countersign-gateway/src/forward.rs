//! Handing a request on. It takes what the judge gave: without an [`Authorization`] there is no
//! way to call it.

use std::{path::Path, sync::Arc};

use countersign_types::error::ErrorCode;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{AUTHORIZATION, HOST, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::{
    body::{RequestBody, ResponseBody, UpstreamBody},
    connection::{Authorization, Connection},
    headers,
    identify::Identity,
    live::Stream,
    options,
    refusal::Refusal,
    upstream::{Head, Lease, Upstream, UpstreamError},
};

/// What a request goes with besides itself.
pub(crate) struct Pass<'a> {
    pub(crate) authorization: &'a Authorization,
    pub(crate) identity: &'a Identity,
    pub(crate) stream: &'a Arc<Stream>,
    /// The request's id.
    pub(crate) id: &'a HeaderValue,
}

/// A route on one thread: which requests, to where, changed how.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(crate) host: Option<String>,
    pub(crate) path: String,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) authority: Authority,
    /// The same, as an HTTP/1.1 upstream is told it.
    pub(crate) host_header: HeaderValue,
    pub(crate) scheme: Scheme,
    pub(crate) http2: bool,
    pub(crate) preserve_host: bool,
    pub(crate) authorization: AuthorizationHeader,
    pub(crate) extra: Vec<(HeaderName, HeaderValue)>,
    pub(crate) client_cert_header: bool,
    pub(crate) xfcc_header: bool,
}

/// What becomes of the `authorization` header.
#[derive(Debug, Clone)]
pub(crate) enum AuthorizationHeader {
    Pass,
    Drop,
    Replace(HeaderValue),
}

impl AuthorizationHeader {
    /// Reads what it is replaced by.
    pub(crate) fn read(option: &options::Authorization) -> Result<Self, String> {
        match option {
            options::Authorization::Pass => Ok(Self::Pass),
            options::Authorization::Drop => Ok(Self::Drop),
            options::Authorization::ReplaceFromFile(file) => read_bearer(file).map(Self::Replace),
        }
    }
}

fn read_bearer(file: &Path) -> Result<HeaderValue, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| format!("`{}` does not hold a key", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A response under way, and what else ends with it.
pub(crate) struct Answer {
    response: Response<Incoming>,
    lease: Option<Lease>,
    client: Option<OnUpgrade>,
}

impl Forwarder {
    /// Whether this route serves a request: its host, and its path by whole segments.
    pub(crate) fn serves(&self, host: Option<&str>, path: &str) -> bool {
        let right_host = self.host.as_deref().is_none_or(|wanted| {
            host.is_some_and(|given| {
                let name = given.rsplit_once(':').map_or(given, |(name, _)| name);
                name.eq_ignore_ascii_case(wanted) || given.eq_ignore_ascii_case(wanted)
            })
        });
        let prefix = self.path.trim_end_matches('/');
        right_host
            && path
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Sends a request that passed to the upstream; what it answers awaits the head of the
    /// response.
    pub(crate) fn forward(
        &self,
        pass: &Pass<'_>,
        mut request: Request<Incoming>,
    ) -> Result<impl Future<Output = Result<Answer, Refusal>> + use<>, Refusal> {
        let upgrade = headers::upgrade_wanted(request.version(), request.headers());
        let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        headers::to_upstream(request.headers_mut(), upgrade);
        self.address(&mut request)?;
        self.introduce(pass, request.headers_mut());
        let request = request.map(|body| RequestBody::new(body, pass.stream));
        let answered = |sent| answer(sent, client);
        Ok(self.upstream.send(request).map(answered))
    }

    /// Turns the request's target into the upstream's.
    fn address(&self, request: &mut Request<Incoming>) -> Result<(), Refusal> {
        if self.http2 {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            return Self::set_target(request, Some((&self.scheme, &self.authority)));
        }
        let kept = self.preserve_host.then(|| host_of(request)).flatten();
        let host = kept.and_then(|host| HeaderValue::from_str(host).ok());
        let host = host.unwrap_or_else(|| self.host_header.clone());
        *request.version_mut() = Version::HTTP_11;
        let chunked =
            !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers::join_cookies(headers);
        if chunked {
            // A GET is sent without its body unless told that it has one.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if request.uri().authority().is_none() {
            return Ok(());
        }
        Self::set_target(request, None)
    }

    /// Keeps of the request's target its path alone, and puts a scheme and an authority before it.
    fn set_target(
        request: &mut Request<Incoming>,
        before: Option<(&Scheme, &Authority)>,
    ) -> Result<(), Refusal> {
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
        if let Some((scheme, authority)) = before {
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
        }
        *request.uri_mut() = Uri::from_parts(parts)
            .map_err(|_| Refusal::new(ErrorCode::BadRequest, "unreadable request target"))?;
        Ok(())
    }

    /// Says upstream who is calling. Whatever the client said of that is gone already.
    fn introduce(&self, pass: &Pass<'_>, headers: &mut HeaderMap) {
        match &self.authorization {
            AuthorizationHeader::Pass => {}
            AuthorizationHeader::Drop => {
                headers.remove(AUTHORIZATION);
            }
            AuthorizationHeader::Replace(value) => {
                headers.insert(AUTHORIZATION, value.clone());
            }
        }
        for (name, value) in &self.extra {
            headers.insert(name.clone(), value.clone());
        }
        let identity = pass.identity;
        headers.reserve(headers::INTRODUCTION);
        headers.insert(headers::ORGANIZATION, identity.organization_header.clone());
        if let Some(project) = &identity.project_header {
            headers.insert(headers::PROJECT, project.clone());
        }
        if let Some(key) = &identity.key_header {
            headers.insert(headers::KEY, key.clone());
        }
        if let Some(verified) = &pass.authorization.certificate_headers {
            headers.insert(headers::CERTIFICATE, verified.certificate.clone());
            headers.insert(headers::LEAF_SHA256, verified.leaf_sha256.clone());
            self.show_certificate(&pass.stream.connection, headers);
        }
        headers.insert(headers::REQUEST_ID, pass.id.clone());
    }

    fn show_certificate(&self, connection: &Connection, headers: &mut HeaderMap) {
        if self.client_cert_header {
            let (leaf, chain) = connection.rfc9440();
            leaf.and_then(|value| headers.insert(headers::CLIENT_CERT, value));
            chain.and_then(|value| headers.insert(headers::CLIENT_CERT_CHAIN, value));
        }
        if self.xfcc_header {
            connection
                .xfcc()
                .and_then(|value| headers.insert(headers::XFCC, value));
        }
    }
}

/// The host that a request names: its authority in HTTP/2, its `Host` header otherwise.
pub(crate) fn host_of<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(Authority::as_str);
    authority.or_else(|| {
        request
            .headers()
            .get(HOST)
            .and_then(|value| value.to_str().ok())
    })
}

fn answer(sent: Result<Head, UpstreamError>, client: Option<OnUpgrade>) -> Result<Answer, Refusal> {
    let (response, lease) = sent.map_err(refused)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && client.is_none() {
        let reason = "upstream: it changed protocols unasked";
        return Err(Refusal::new(ErrorCode::UpstreamUnavailable, reason));
    }
    Ok(Answer {
        response,
        lease,
        client,
    })
}

fn refused(error: UpstreamError) -> Refusal {
    let code = match error {
        UpstreamError::ConnectTimeout(_) | UpstreamError::ResponseTimeout(_) => {
            ErrorCode::UpstreamTimeout
        }
        UpstreamError::Connect(_) | UpstreamError::Broken(_) => ErrorCode::UpstreamUnavailable,
    };
    Refusal::new(code, format!("upstream: {error}"))
}

impl Answer {
    /// The response as it goes to the client. The stream stays registered until its last byte.
    pub(crate) fn into_response(self, stream: Arc<Stream>) -> Response<ResponseBody> {
        let Self {
            mut response,
            lease,
            client,
        } = self;
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::to_client(response.headers_mut(), switching);
        *response.version_mut() = Version::HTTP_11;
        if switching {
            let upstream = hyper::upgrade::on(&mut response);
            if let Some(client) = client {
                tokio::spawn(tunnel(client, upstream, stream));
            }
            return response.map(|_| ResponseBody::Own(http_body_util::Full::default()));
        }
        response.map(|inner| {
            ResponseBody::Upstream(Box::new(UpstreamBody {
                inner,
                stream,
                lease,
                ended: false,
            }))
        })
    }
}

/// Carries an upgraded connection's bytes until either side ends it or it is cut.
async fn tunnel(client: OnUpgrade, upstream: OnUpgrade, stream: Arc<Stream>) {
    let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else {
        return;
    };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    tokio::select! {
        biased;
        () = stream.until_cut() => {}
        _ = copy_bidirectional(&mut client, &mut upstream) => {}
    }
}
