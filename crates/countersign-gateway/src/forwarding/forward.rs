//! Forwarding a request. It takes the judge's verdict: it cannot be called without an
//! [`Authorization`], and nothing else in the gateway reaches an upstream.

use std::{path::Path, sync::Arc};

use countersign_proxy::{AwaitedResponse, ForwardError};
use countersign_types::error::ErrorCode;
use futures_util::{TryFutureExt as _, future::MapErr};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use hyper::body::Incoming;

use crate::{
    caller::identity::Identity, identity_headers, live::stream::Stream, options,
    refusal::refused::Refusal, verdict::authorization::Authorization,
};

/// What is known of a request that passes.
pub(crate) struct Permitted<'a> {
    pub(crate) authorization: &'a Authorization,
    pub(crate) identity: &'a Identity,
    pub(crate) stream: &'a Arc<Stream>,
    pub(crate) request_id: &'a HeaderValue,
}

/// A future of the upstream's response. It has a name, and no box, because every request has one.
pub(crate) type Forwarding = MapErr<AwaitedResponse<Stream>, fn(ForwardError) -> Refusal>;

/// A route on one thread: which requests it serves, and what it sends to the upstream.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) upstream: countersign_proxy::Forwarder<Stream>,
    pub(super) authorization: AuthorizationHeader,
    pub(super) extra: Vec<(HeaderName, HeaderValue)>,
    pub(super) client_cert_header: bool,
    pub(super) xfcc_header: bool,
}

/// What the upstream gets as `authorization` header.
#[derive(Debug, Clone)]
pub(crate) enum AuthorizationHeader {
    Pass,
    Drop,
    Replace(HeaderValue),
}

impl AuthorizationHeader {
    /// Reads the file that holds the replacement, if there is one.
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

    /// Sends a request that passes to the upstream; the future awaits the head of the response.
    pub(crate) fn forward(
        &self,
        permitted: &Permitted<'_>,
        request: Request<Incoming>,
    ) -> Result<Forwarding, Refusal> {
        let set_headers = |headers: &mut HeaderMap| self.set_identity_headers(permitted, headers);
        let response = self
            .upstream
            .forward(permitted.stream, request, set_headers)
            .map_err(refused)?;
        Ok(response.map_err(refused as fn(_) -> _))
    }

    /// Tells the upstream who is calling. Whatever the client claimed about that was removed
    /// before.
    fn set_identity_headers(&self, permitted: &Permitted<'_>, headers: &mut HeaderMap) {
        match &self.authorization {
            AuthorizationHeader::Pass => {}
            AuthorizationHeader::Drop => {
                headers.remove(AUTHORIZATION);
            }
            AuthorizationHeader::Replace(value) => {
                headers.insert(AUTHORIZATION, value.clone());
            }
        }
        // Before the identity, so that no configured header can replace it.
        for (name, value) in &self.extra {
            headers.insert(name.clone(), value.clone());
        }
        let identity = permitted.identity;
        headers.reserve(identity_headers::IDENTITY_HEADERS);
        headers.insert(
            identity_headers::ORGANIZATION,
            identity.organization_header.clone(),
        );
        if let Some(project) = &identity.project_header {
            headers.insert(identity_headers::PROJECT, project.clone());
        }
        if let Some(key) = &identity.key_header {
            headers.insert(identity_headers::KEY, key.clone());
        }
        // Only a verified certificate is named: one that was merely presented proves nothing.
        if let Some(verified) = &permitted.authorization.certificate_headers {
            headers.insert(identity_headers::CERTIFICATE, verified.certificate.clone());
            headers.insert(identity_headers::LEAF_SHA256, verified.leaf_sha256.clone());
            let presented = permitted.stream.connection.presented();
            if self.client_cert_header {
                identity_headers::add_client_cert(presented, headers);
            }
            if self.xfcc_header {
                identity_headers::add_xfcc(presented, headers);
            }
        }
        headers.insert(identity_headers::REQUEST_ID, permitted.request_id.clone());
    }
}

fn refused(error: ForwardError) -> Refusal {
    let code = match error {
        ForwardError::RequestTarget => ErrorCode::BadRequest,
        ForwardError::ConnectTimeout(_) | ForwardError::ResponseTimeout(_) => {
            ErrorCode::UpstreamTimeout
        }
        ForwardError::Connect(_) | ForwardError::Broken(_) | ForwardError::UnaskedUpgrade => {
            ErrorCode::UpstreamUnavailable
        }
    };
    Refusal::new(code, error.to_string())
}
