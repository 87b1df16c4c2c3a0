//! Envoy's `ext_authz` with `grpc_service`: `envoy.service.auth.v3.Authorization/Check`. What Envoy knows
//! of its client's request comes as attributes; the answer sets and removes the request's headers, or is
//! the whole response to the client.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use countersign_proxy::{BodyError, ClientBody, Flood, HeadFault, ServeHttp2};
use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
        },
        service::auth::v3::{
            CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
            authorization_server::{Authorization, AuthorizationServer},
            check_response::HttpResponse,
        },
        r#type::v3::HttpStatus,
    },
    google::rpc,
};
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt as _, combinators::MapErr};
use tonic::{Code, Status};
use tower_service::Service as _;

use super::deciding::{Asked, Deciding, Decision, Passed};
use crate::{accepting::serving::note_flood, identity_headers};

/// The most bytes of a request: its headers, the certificates among them, come twice at the most. Envoy
/// must not be set to send bodies.
const MAX_MESSAGE: usize = 512 * 1024;

/// The requests of one connection of an Envoy.
#[derive(Debug)]
pub(super) struct Requests {
    server: AuthorizationServer<Check>,
    deciding: Arc<Deciding>,
    peer: Arc<str>,
    /// How many were the proxy's.
    proven: Arc<AtomicU64>,
}

/// Answers checks.
#[derive(Debug)]
pub(super) struct Check {
    deciding: Arc<Deciding>,
    peer: Arc<str>,
}

impl Requests {
    pub(super) fn new(deciding: &Arc<Deciding>, peer: &Arc<str>, proven: &Arc<AtomicU64>) -> Self {
        Self {
            server: AuthorizationServer::new(Check::new(deciding, peer))
                .max_decoding_message_size(MAX_MESSAGE),
            deciding: Arc::clone(deciding),
            peer: Arc::clone(peer),
            proven: Arc::clone(proven),
        }
    }
}

impl ServeHttp2 for Requests {
    type Body = MapErr<tonic::body::Body, fn(Status) -> BodyError>;

    fn serve(
        &self,
        request: Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        let called = if fault.is_none() && self.deciding.is_proven(request.headers()) {
            self.proven.fetch_add(1, Ordering::Relaxed);
            Ok(self.server.clone().call(request))
        } else {
            self.deciding.refuse_unproven(&self.peer);
            Err(Status::unauthenticated("not proven to be the proxy"))
        };
        let response: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            let response = match called {
                // Its error is one that there is not.
                Ok(call) => call.await.unwrap_or_else(|never| match never {}),
                Err(status) => status.into_http(),
            };
            // It is made here, and whole.
            response.map(|body| body.map_err((|_| BodyError::Cut) as fn(Status) -> BodyError))
        });
        response
    }

    fn note_malformed(&self, _: Option<HeadFault>) {
        self.deciding.refuse_unproven(&self.peer);
    }

    fn note_flood(&self, flood: Flood) {
        note_flood(flood, &self.peer);
    }
}

#[tonic::async_trait]
impl Authorization for Check {
    async fn check(
        &self,
        request: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, Status> {
        Ok(tonic::Response::new(
            self.answer(
                request.get_ref(),
                request
                    .metadata()
                    .get("traceparent")
                    .map(tonic::metadata::AsciiMetadataValue::as_encoded_bytes),
            ),
        ))
    }
}

impl Check {
    pub(super) fn new(deciding: &Arc<Deciding>, peer: &Arc<str>) -> Self {
        Self {
            deciding: Arc::clone(deciding),
            peer: Arc::clone(peer),
        }
    }

    /// The answer to a check, whose call may name the proxy's own span.
    pub(super) fn answer(
        &self,
        request: &CheckRequest,
        traceparent: Option<&[u8]>,
    ) -> CheckResponse {
        let attributes = request.attributes.as_ref();
        let source = attributes.and_then(|attributes| attributes.source.as_ref());
        let http = attributes.and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
        let none = HashMap::new();
        let headers = http.map_or(&none, |http| &http.headers);
        let asked = Asked {
            peer: &self.peer,
            method: http.map(|http| http.method.as_bytes()),
            target: http.map(|http| http.path.as_bytes()),
            attribute: source.map(|source| source.certificate.as_str()),
            traceparent,
        };
        let each = || {
            let each = headers.iter();
            each.map(|(name, value)| (name.as_str(), value.as_bytes()))
        };
        match self.deciding.decide(asked, each) {
            Decision::Passed(passed) => allowed(&passed, headers),
            Decision::Refused(response) => denied(&response),
        }
    }
}

/// The request passes. The identity takes the place of what the client claimed, and what is not said of
/// this one is removed.
fn allowed(passed: &Passed, sent: &HashMap<String, String>) -> CheckResponse {
    let set: Vec<_> = passed
        .headers()
        .map(|(name, value)| header(name.as_str(), value))
        .collect();
    // What is removed is removed last.
    let is_set = |name: &str| {
        let mut headers = set.iter().filter_map(|each| each.header.as_ref());
        headers.any(|header| header.key == name)
    };
    // Envoy may be set to show a part of the headers only.
    let own = identity_headers::NAMED;
    let own = own
        .iter()
        .map(HeaderName::as_str)
        .filter(|name| !sent.contains_key(*name));
    let claimed = sent.keys().map(String::as_str);
    let claimed = claimed.filter(|name| identity_headers::is_own(name));
    let remove = own.chain(claimed).filter(|name| !is_set(name));
    let headers_to_remove = remove.map(str::to_owned).collect();
    CheckResponse {
        status: Some(rpc::Status::default()),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: set,
            headers_to_remove,
            ..OkHttpResponse::default()
        })),
        ..CheckResponse::default()
    }
}

/// The request does not pass, and this is what the client is told.
fn denied(response: &Response<Bytes>) -> CheckResponse {
    let status = response.status();
    let code = match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        _ => Code::Unavailable,
    };
    let headers = response.headers().iter();
    CheckResponse {
        status: Some(rpc::Status {
            code: code.into(),
            ..rpc::Status::default()
        }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            // The numbers are those of HTTP.
            status: Some(HttpStatus {
                code: status.as_u16().into(),
            }),
            headers: headers
                .map(|(name, value)| header(name.as_str(), value))
                .collect(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
        })),
        ..CheckResponse::default()
    }
}

/// A header that takes the place of what there is.
fn header(name: &str, value: &http::HeaderValue) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_str().unwrap_or_default().to_owned(),
            ..HeaderValue::default()
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}
