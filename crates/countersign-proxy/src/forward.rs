//! Sending a request to its upstream, and turning what comes back into the client's response.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body as _;
use http_body_util::Full;
use hyper::{body::Incoming, upgrade::OnUpgrade};

use crate::{
    client_body::ClientBody,
    connections::Lease,
    error::ForwardError,
    exchange::Exchange,
    headers,
    request_body::RequestBody,
    request_target,
    response_body::{Received, ResponseBody},
    sending::{Answer, Awaited},
    target::Target,
    upgrade,
    upstream::Upstream,
    waiting::within,
};

/// Sends requests to one upstream. A thread has its own, and so its own connections.
#[derive(Debug)]
pub struct Forwarder<E: Exchange> {
    upstream: Arc<Upstream<E>>,
}

impl<E: Exchange> Forwarder<E> {
    /// A forwarder without any connection yet, to one server or more, whose addresses take turns,
    /// beginning with this one. The first server's options are those of all.
    #[must_use]
    pub fn new(first: Target, others: Vec<Target>, turn: usize) -> Self {
        Self {
            upstream: Upstream::new(first, others, turn),
        }
    }

    /// Sends a request; the future awaits the head of the response. `set_headers` adds what the
    /// caller wants to say to the upstream, after reserved and hop-by-hop headers were removed.
    ///
    /// # Errors
    /// When the request cannot be written for this upstream.
    pub fn forward(
        &self,
        exchange: &Arc<E>,
        mut request: Request<ClientBody>,
        set_headers: impl FnOnce(&mut HeaderMap),
    ) -> Result<AwaitedResponse<E>, ForwardError> {
        let version = request.version();
        let http2 = self.upstream.options.http2;
        let found = headers::Found::of(request.headers(), |name| {
            headers::is_not_for_upstream(name, E::is_reserved)
        });
        // HTTP/2 has no upgrades.
        let may_upgrade = found.upgrade && !http2;
        let protocol = may_upgrade.then(|| upgrade::wanted(version, request.headers()));
        let protocol = protocol.flatten();
        let client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        headers::to_upstream(request.headers_mut(), found, protocol);
        let chosen = self.upstream.choose(&[]);
        let target = chosen.as_ref().map(|connections| connections.target());
        let target = target.unwrap_or_else(|| self.upstream.first_target());
        request_target::address(target, &mut request)?;
        set_headers(request.headers_mut());
        let now = exchange.progress().started();
        let limits = self.upstream.options.limits;
        let request =
            request.map(|body| RequestBody::new(body, version, exchange, limits.body_timeout));
        Ok(AwaitedResponse {
            head: self.upstream.send(chosen, request, now),
            limit: limits.response_timeout,
            version,
            client,
            idle_timeout: limits.stream_idle_timeout,
        })
    }
}

/// A response that is awaited.
pub struct AwaitedResponse<E: Exchange> {
    head: Awaited<E>,
    limit: Duration,
    /// The client's.
    version: Version,
    client: Option<OnUpgrade>,
    idle_timeout: Option<Duration>,
}

impl<E: Exchange> AwaitedResponse<E> {
    /// Awaits the head of the response, within the time limit.
    ///
    /// # Errors
    /// When there is none.
    pub async fn head(self, exchange: &E) -> Result<Forwarded<E>, ForwardError> {
        let client = exchange.client();
        let mut timer = client.timer();
        let sent = within(self.limit, exchange.progress(), &mut timer, self.head).await;
        client.keep_timer(timer);
        let (answer, lease) = sent?;
        check(&answer, self.client.is_some())?;
        Ok(Forwarded {
            answer,
            lease,
            version: self.version,
            client: self.client,
            idle_timeout: self.idle_timeout,
        })
    }
}

/// The head of a response, and what else ends with it.
#[derive(Debug)]
pub struct Forwarded<E: Exchange> {
    answer: Answer,
    lease: Lease<E>,
    version: Version,
    client: Option<OnUpgrade>,
    idle_timeout: Option<Duration>,
}

/// Refuses a response that cannot be passed on.
fn check(answer: &Answer, upgrades: bool) -> Result<(), ForwardError> {
    if let Answer::Http1(response) = answer {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS && !upgrades {
            return Err(ForwardError::UnaskedUpgrade);
        }
        if has_unknown_coding(response) {
            return Err(ForwardError::UnknownCoding);
        }
    }
    Ok(())
}

/// Whether only a transfer coding says where a body ends, and another than `chunked` does, which
/// would have to be undone: such a response would be awaited until its connection ends.
fn has_unknown_coding(response: &Response<Incoming>) -> bool {
    // What has a length has no coding.
    if response.body().size_hint().exact().is_some() {
        return false;
    }
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|coding| !chunked(coding)) || codings.next().is_some()
}

impl<E: Exchange> Forwarded<E> {
    /// The response's status.
    pub fn status(&self) -> StatusCode {
        match &self.answer {
            Answer::Http1(response) => response.status(),
            Answer::Http2(response) => response.status(),
        }
    }

    /// The response as it goes to the client. It holds the exchange until its last byte.
    pub fn into_response(self, exchange: Arc<E>) -> Response<ResponseBody<E>> {
        let Self {
            answer,
            lease,
            version,
            client,
            idle_timeout,
        } = self;
        match answer {
            Answer::Http1(mut response) => {
                settle(&mut response, version);
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    let upstream = hyper::upgrade::on(&mut response);
                    exchange.client().upgrade();
                    if let Some(client) = client {
                        tokio::spawn(upgrade::tunnel(client, upstream, exchange, idle_timeout));
                    }
                    return response.map(|_| ResponseBody::Own(Full::default()));
                }
                response.map(|body| {
                    let body = Received::Http1(body);
                    ResponseBody::upstream(body, exchange, lease, (version, idle_timeout))
                })
            }
            Answer::Http2(mut response) => {
                settle(&mut response, version);
                response.map(|body| {
                    let body = Received::Http2(body);
                    ResponseBody::upstream(body, exchange, lease, (version, idle_timeout))
                })
            }
        }
    }
}

/// Turns the head of an upstream's response into that of the client's.
fn settle<B>(response: &mut Response<B>, version: Version) {
    let status = response.status();
    headers::to_client(response.headers_mut(), status);
    if status == StatusCode::UPGRADE_REQUIRED && version == Version::HTTP_2 {
        // HTTP/2 has no upgrades, and these headers would make the response malformed.
        response.headers_mut().remove(CONNECTION);
        response.headers_mut().remove(UPGRADE);
    }
    *response.version_mut() = Version::HTTP_11;
}
