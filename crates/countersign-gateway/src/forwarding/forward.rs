//! Forwarding a request. It takes the judge's verdict: it cannot be called without an
//! [`Authorization`], and nothing else in the gateway reaches an upstream.

use std::{path::Path, sync::Arc};

use countersign_proxy::{AwaitedResponse, ClientBody, Fault, ForwardError};
use countersign_types::error::ErrorCode;
use countersign_verify::{permit::Permit, presented::Presented};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::AUTHORIZATION};

use super::{forwarded::FromClient, xfcc::Xfcc};
use crate::{
    caller::identity::Identity,
    identity_headers,
    live::stream::Stream,
    operating::upstreams::UpstreamMeters,
    options::{self, ForwardedHeaders, ReceiptPlace},
    refusal::refused::Refusal,
    verdict::authorization::Authorization,
};

/// What is known of a request that passes.
pub(crate) struct Permitted<'a> {
    pub(crate) authorization: &'a Authorization,
    pub(crate) identity: &'a Identity,
    pub(crate) stream: &'a Arc<Stream>,
    pub(crate) request_id: &'a HeaderValue,
    /// If the upstream is to have one.
    pub(crate) receipt: Option<&'a HeaderValue>,
}

/// A route on one thread: which requests it serves, and what it sends to the upstream.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) upstream: countersign_proxy::Forwarder<Stream>,
    /// What the upstream does is counted here.
    pub(crate) meters: Arc<UpstreamMeters>,
    pub(super) authorization: AuthorizationHeader,
    pub(super) extra: Vec<(HeaderName, HeaderValue)>,
    pub(super) forwarded: ForwardedHeaders,
    pub(super) client_cert_header: bool,
    pub(super) xfcc: Option<Arc<Xfcc>>,
    /// Where the receipts of its requests go.
    pub(super) receipt: Vec<ReceiptPlace>,
}

/// What the upstream gets as `authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What its requests' paths start with.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where the receipts of its requests go.
    pub(crate) fn receipt_places(&self) -> &[ReceiptPlace] {
        &self.receipt
    }

    /// Whether this route serves a request: its host, and its path by whole segments.
    pub(crate) fn serves<'a>(&self, host: impl FnOnce() -> Option<&'a str>, path: &str) -> bool {
        let right_host = self.host.as_deref().is_none_or(|wanted| {
            host().is_some_and(|given| {
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
        request: Request<ClientBody>,
    ) -> Result<AwaitedResponse<Stream>, Refusal> {
        let from_client = FromClient::of(&request, self.forwarded);
        let set_headers = |headers: &mut HeaderMap| {
            headers.reserve(identity_headers::ADDED_HEADERS);
            from_client.add(self.forwarded, &permitted.stream.connection, headers);
            self.set_identity_headers(permitted, headers);
        };
        self.upstream
            .forward(permitted.stream, request, set_headers)
            .map_err(refused)
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
            remove_folded(headers, name);
            headers.insert(name.clone(), value.clone());
        }
        let named = identity_headers::named(permitted.identity, permitted.authorization);
        for (name, value) in named {
            headers.insert(name, value.clone());
        }
        if let Some(permit) = permitted.authorization.permit() {
            let presented = permitted.stream.connection.presented();
            self.set_certificate_headers(presented, permit, headers);
        }
        if let Some(receipt) = permitted.receipt {
            headers.insert(identity_headers::RECEIPT, receipt.clone());
        }
        headers.insert(identity_headers::REQUEST_ID, permitted.request_id.clone());
    }
}

impl Forwarder {
    /// Passes the verified certificate on, where that is wanted.
    fn set_certificate_headers(
        &self,
        presented: &Presented,
        permit: &Permit,
        headers: &mut HeaderMap,
    ) {
        if self.client_cert_header {
            identity_headers::add_client_cert(presented, permit, headers);
        }
        let xfcc = self.xfcc.as_ref();
        if let Some(value) = xfcc.and_then(|xfcc| xfcc.header(presented, permit)) {
            headers.insert(identity_headers::XFCC, value);
        }
    }
}

/// Removes what an upstream could take for a header that is set here.
fn remove_folded(headers: &mut HeaderMap, name: &HeaderName) {
    let same = |given: &&HeaderName| identity_headers::folds_to(name.as_str(), given.as_str());
    let found: Vec<HeaderName> = headers.keys().filter(same).cloned().collect();
    for given in found {
        headers.remove(given);
    }
}

/// What to tell a client whose request found no response.
pub(crate) fn refused(error: ForwardError) -> Refusal {
    let code = match error.fault() {
        Fault::Request => ErrorCode::BadRequest,
        Fault::SlowClient => ErrorCode::RequestTimeout,
        Fault::SlowUpstream => ErrorCode::UpstreamTimeout,
        Fault::Upstream => ErrorCode::UpstreamUnavailable,
    };
    Refusal::new(code, error.to_string())
}
