//! The order of one request: who is calling, register, judge, forward or refuse, log.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_proxy::{
    AwaitedResponse, ClientBody, Cut, Exchange as _, ForwardError, HeadFault, MalformedRequest,
    ResponseBody, check_shape, host_of, leave_body, settle_path, without_parameters,
};
use countersign_types::{error::ErrorCode, id::RequestId};
use futures_util::future::Either;
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CONNECTION, TRANSFER_ENCODING},
};

use crate::{
    access_log::record::Record,
    admission::{Admission, admit, credential, give_receipt},
    caller::identity::Identity,
    connection::{Arrival, Connection},
    forwarding::forward::{Forwarder, Permitted, refused},
    identity_headers::{REQUEST_ID, request_id},
    live::stream::{LiveStreams, Stream},
    operating::upstreams::UpstreamMeters,
    refusal::refused::Refusal,
    request_span::RequestSpan,
    shared::Shared,
    token_exchange::{own::Own, serving::Serving},
    trace_context,
    under_way::UnderWay,
};

/// The path under which the control plane's API is reached through the gateway.
const MANAGEMENT_PATH: &str = "/v1/organization";

/// What one thread serves requests with.
#[derive(Debug)]
pub(crate) struct Frontend {
    /// Which thread this is.
    pub(crate) thread: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<LiveStreams>,
    pub(crate) routes: Vec<Forwarder>,
    pub(crate) control_plane: Forwarder,
}

/// What serves requests from now on, also those on connections that are open: a connection that is
/// closed under its client loses the request that comes at that moment.
pub(crate) type Latest = Arc<ArcSwap<Frontend>>;

impl Frontend {
    /// Serves one request: judges it, forwards or refuses it, and logs what became of it. What need
    /// not wait is done before the future is made, so that the future is small: there is one for
    /// each request that awaits its upstream.
    pub(crate) fn serve(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        mut request: Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> impl Future<Output = Response<ResponseBody<Stream>>> + Send + use<> {
        let Begun {
            id_header,
            mut record,
            shape,
            started,
        } = self.begin(connection, &mut request, fault);
        if shape.is_ok()
            && let Some(own) = Own::of(&self.shared.options.token_exchange, &request)
        {
            let asked = OwnRequest {
                own,
                request,
                record,
                started,
            };
            let answer = Arc::clone(self).answer_own(asked, Arc::clone(connection), id_header);
            return Either::Left(Box::pin(answer));
        }
        let arrived = Arrived {
            request,
            shape,
            started,
        };
        let sent = match self.send(&id_header, connection, arrived, &mut record) {
            Ok(Sent {
                stream,
                response,
                upstream,
            }) => {
                stream.begin(UnderWay::new(record, started, upstream));
                Ok((stream, response))
            }
            Err(NotSent {
                refusal,
                has_coding,
            }) => {
                connection.client.answer();
                let mut response =
                    self.shared
                        .refuse_at_once(&refusal, &mut record, connection, started);
                // Where such a request ends is a matter of opinion, and so is what follows it.
                if has_coding && response.status() == StatusCode::BAD_REQUEST {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Err(response)
            }
        };
        let frontend = Arc::clone(self);
        Either::Right(async move {
            let mut response = match sent {
                Err(response) => response.map(ResponseBody::own),
                Ok((stream, awaited)) => frontend.answer(stream, awaited).await,
            };
            response.headers_mut().insert(REQUEST_ID, id_header);
            response
        })
    }

    /// What is done with each request first.
    fn begin(
        &self,
        connection: &Connection,
        request: &mut Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> Begun {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        let ambiguous = request.version() != Version::HTTP_2 && connection.client.begin();
        let number = self.shared.request_ids.next_number();
        let id = RequestId::from_random(number);
        let id_header = request_id(&id);
        let setting = self.shared.options.traceparent;
        let spans = self.shared.spans.as_deref();
        let traced = trace_context::settle(request.headers_mut(), number, setting, spans);
        let mut record = match fault {
            // What was asked for is not known.
            Some(HeadFault::Pseudo(_)) => Record::unreadable(id, connection),
            _ => Record::new(id, traced.trace, request, connection),
        };
        let span = traced.span.map(|span| RequestSpan::begin(span, request));
        record.record_span(span);
        let started = Instant::now();
        let shape = match fault {
            Some(fault) => Err(MalformedRequest::Head(fault).into()),
            None => self.check_head(request, ambiguous),
        };
        Begun {
            id_header,
            record,
            shape,
            started,
        }
    }

    /// The response to a request for something that the gateway itself serves.
    async fn answer_own(
        self: Arc<Self>,
        asked: OwnRequest,
        connection: Arc<Connection>,
        id_header: HeaderValue,
    ) -> Response<ResponseBody<Stream>> {
        let OwnRequest {
            own,
            request,
            mut record,
            started,
        } = asked;
        let serving = Serving {
            shared: &self.shared,
            connection: &connection,
            thread: self.thread,
        };
        let (mut response, refusal) = own.answer(serving, request).await;
        connection.client.answer();
        if let Some(refusal) = &refusal {
            self.shared.refuse(refusal, &mut record, &connection);
        }
        self.shared.end(&record, &response, started);
        response.headers_mut().insert(REQUEST_ID, id_header);
        response.map(ResponseBody::own)
    }

    /// The response to a request whose head could not be read, given the status that says why.
    pub(crate) fn refuse_unreadable(
        &self,
        status: StatusCode,
        connection: &Connection,
    ) -> Response<Bytes> {
        let code = match status {
            StatusCode::BAD_REQUEST => ErrorCode::BadRequest,
            StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
            _ => ErrorCode::HeadersTooLarge,
        };
        let refusal = Refusal::new(code, format!("the request's head cannot be read: {status}"));
        self.refuse_head(&refusal, connection)
    }

    /// Notes a request that HTTP/2 refused by a reset: its head is none, or larger than is read.
    pub(crate) fn note_malformed(&self, fault: Option<HeadFault>, connection: &Connection) {
        let refusal = match fault {
            Some(fault) => MalformedRequest::Head(fault).into(),
            None => {
                let reason =
                    "the request's head is malformed, or far too large: HTTP/2 has it reset";
                Refusal::new(ErrorCode::BadRequest, reason)
            }
        };
        drop(self.refuse_head(&refusal, connection));
    }

    fn refuse_head(&self, refusal: &Refusal, connection: &Connection) -> Response<Bytes> {
        let id = self.shared.request_ids.next();
        let id_header = request_id(&id);
        let mut record = Record::unreadable(id, connection);
        let now = Instant::now();
        let mut response = self
            .shared
            .refuse_at_once(refusal, &mut record, connection, now);
        response.headers_mut().insert(REQUEST_ID, id_header);
        response
    }

    /// The response to a request that was forwarded.
    async fn answer(
        &self,
        stream: Arc<Stream>,
        awaited: AwaitedResponse<Stream>,
    ) -> Response<ResponseBody<Stream>> {
        let awaited = stream.carry(awaited.head(&*stream)).await;
        stream.connection.client.answer();
        let forwarded = match awaited {
            Ok(Ok(forwarded)) => Ok(forwarded),
            Ok(Err(error)) => match error.blame(stream.progress()) {
                // Whoever closed only its own side reads this. It is logged as any whose client is gone.
                ForwardError::ClientGone(error) => {
                    let refusal = refused(ForwardError::ClientGone(error));
                    let respond = |record: &Record| self.shared.envelope(&refusal, record);
                    let response = stream.with_under_way(|under_way| respond(&under_way.record));
                    return response.map(ResponseBody::own);
                }
                error => {
                    stream.with_under_way(|under_way| under_way.upstream_failed(&error));
                    Err(refused(error))
                }
            },
            Err(Cut) => Err(self.why_cut(&stream)),
        };
        match forwarded {
            Ok(forwarded) => {
                let status = forwarded.status();
                stream.with_under_way(|under_way| {
                    under_way.upstream_answered(status);
                    under_way.answer(status, &self.shared);
                });
                forwarded.into_response(stream)
            }
            Err(refusal) => stream.with_under_way(|under_way| {
                let record = &mut under_way.record;
                let response = self.shared.refuse(&refusal, record, &stream.connection);
                under_way.answer(response.status(), &self.shared);
                response.map(ResponseBody::own)
            }),
        }
    }

    /// Judges a request and, if it passes, sends it: what is left to do is to await the response.
    fn send(
        &self,
        id: &HeaderValue,
        connection: &Arc<Connection>,
        arrived: Arrived,
        record: &mut Record,
    ) -> Result<Sent, NotSent> {
        let Arrived {
            mut request,
            shape,
            started,
        } = arrived;
        let admitted =
            shape.and_then(|()| self.admit_and_route(connection, &mut request, started, record));
        match admitted {
            Ok((stream, admission, route)) => {
                let permitted = Permitted {
                    authorization: &admission.authorization,
                    identity: &admission.identity,
                    stream: &stream,
                    request_id: id,
                    receipt: admission.receipt.as_ref(),
                };
                match route.forward(&permitted, request) {
                    Ok(response) => Ok(Sent {
                        upstream: Arc::clone(&route.meters),
                        stream,
                        response,
                    }),
                    Err(refusal) => Err(NotSent {
                        refusal,
                        // It is gone by now.
                        has_coding: true,
                    }),
                }
            }
            Err(refusal) => {
                let version = request.version();
                let has_coding = request.headers().contains_key(TRANSFER_ENCODING);
                leave_body(request.into_body(), version, &connection.client);
                Err(NotSent {
                    refusal,
                    has_coding,
                })
            }
        }
    }

    /// Refuses what the library that reads heads lets through: both lengths at once, and over HTTP/2
    /// a header list that is larger than it may be (RFC 9113 section 6.5.2 says how it is measured).
    fn check_head<B>(&self, request: &Request<B>, ambiguous: bool) -> Result<(), Refusal> {
        if ambiguous {
            let reason = "both `transfer-encoding` and `content-length`";
            return Err(Refusal::new(ErrorCode::BadRequest, reason));
        }
        let limit = self.shared.options.limits.header_bytes;
        if request.version() == Version::HTTP_2 && list_bytes(request) > limit {
            let reason = format!("the request's headers have more than {limit} bytes");
            return Err(Refusal::new(ErrorCode::HeadersTooLarge, reason));
        }
        Ok(())
    }

    /// Judges a request: the stream that it passes as, and where it goes.
    fn admit_and_route(
        &self,
        connection: &Arc<Connection>,
        request: &mut Request<ClientBody>,
        started: Instant,
        record: &mut Record,
    ) -> Result<(Arc<Stream>, Admission, &Forwarder), Refusal> {
        check_shape(request)?;
        settle_path(request, self.shared.options.paths.rules())?;
        let keys = request.headers().get_all(AUTHORIZATION).iter();
        let keys = keys.map(HeaderValue::as_bytes);
        let to_management = || is_management(&without_parameters(request.uri().path()));
        let credential = credential(&self.shared, connection, to_management, keys)?;
        // Registered first, judged second: a change of trust in between finds the stream, and
        // judges it again.
        let stream = self
            .live
            .register(Arc::clone(connection), credential, started);
        let arrival = Arrival {
            observer: self.shared.observer.as_ref(),
            shares: &self.shared.shares,
            thread: self.thread,
            takes_place: true,
            clock: &Instant::now,
        };
        let credential = &stream.credential;
        let admitted = admit(&self.shared, connection, credential, record, Some(&arrival));
        let mut admission = admitted.inspect_err(|refusal| {
            // An answer of the control plane is no verdict of a route.
            let path = without_parameters(request.uri().path());
            let route = (!is_management(&path)).then(|| self.served_by(request, &path));
            let places = route.flatten().map_or(&[][..], Forwarder::receipt_places);
            give_receipt(&self.shared, places, connection, Err(refusal), record);
        })?;
        if let Some(place) = admission.place.take() {
            stream.keep(place);
        }
        record.set_authorization(&admission.authorization);
        let route = self.route(request, &admission.identity)?;
        record.set_route(route.path());
        let places = route.receipt_places();
        give_receipt(&self.shared, places, connection, Ok(&mut admission), record);
        Ok((stream, admission, route))
    }

    /// What to tell a client whose stream was cut: why it does not pass now.
    fn why_cut(&self, stream: &Stream) -> Refusal {
        let (connection, credential) = (&stream.connection, &stream.credential);
        let judged = stream.with_under_way(|under_way| {
            let record = &mut under_way.record;
            admit(&self.shared, connection, credential, record, None)
        });
        // It may pass again by now, and was cut all the same: its request may be half sent.
        judged.err().unwrap_or_else(|| {
            let reason = "trust changed while waiting for the upstream";
            Refusal::new(ErrorCode::AuthenticationTemporarilyUnavailable, reason)
        })
    }

    /// Where a request goes. An admin key is for the control plane's paths and nothing else.
    fn route(
        &self,
        request: &Request<ClientBody>,
        identity: &Identity,
    ) -> Result<&Forwarder, Refusal> {
        let path = &*without_parameters(request.uri().path());
        if is_management(path) {
            return Ok(&self.control_plane);
        }
        if identity.project().is_none() {
            let reason = "an admin key is accepted only for paths under `/v1/organization`";
            return Err(Refusal::new(ErrorCode::InvalidApiKey, reason));
        }
        self.served_by(request, path)
            .ok_or_else(|| Refusal::new(ErrorCode::NotFound, "no route serves this host and path"))
    }

    fn served_by(&self, request: &Request<ClientBody>, path: &str) -> Option<&Forwarder> {
        let mut routes = self.routes.iter();
        routes.find(|route| route.serves(|| host_of(request), path))
    }
}

/// A request whose head was looked at.
struct Begun {
    id_header: HeaderValue,
    record: Record,
    /// Whether it may be served at all.
    shape: Result<(), Refusal>,
    started: Instant,
}

/// A request for something that the gateway itself serves.
struct OwnRequest {
    own: Own,
    request: Request<ClientBody>,
    record: Record,
    started: Instant,
}

/// A request that just arrived.
struct Arrived {
    request: Request<ClientBody>,
    /// Whether its head may be forwarded.
    shape: Result<(), Refusal>,
    started: Instant,
}

/// A request that was sent.
struct Sent {
    stream: Arc<Stream>,
    response: AwaitedResponse<Stream>,
    /// What its upstream does is counted here.
    upstream: Arc<UpstreamMeters>,
}

/// Why a request was not sent.
struct NotSent {
    refusal: Refusal,
    /// Whether its body has a transfer coding, or may have had one.
    has_coding: bool,
}

/// The size of a header list, as HTTP/2 measures it: what HTTP/1.1 has in the request line counts too.
fn list_bytes<B>(request: &Request<B>) -> usize {
    const EACH: usize = 32;
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let pseudo = [
        (":method", request.method().as_str()),
        (":scheme", uri.scheme_str().unwrap_or_default()),
        (":authority", authority),
        (":path", path),
    ];
    let pseudo = pseudo.map(|(name, value)| name.len() + value.len() + EACH);
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + EACH);
    pseudo.into_iter().chain(fields).sum()
}

fn is_management(path: &str) -> bool {
    path.strip_prefix(MANAGEMENT_PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_management_path_and_what_is_below_it_go_to_the_control_plane() {
        for path in [
            "/v1/organization",
            "/v1/organization/",
            "/v1/organization/a",
        ] {
            assert!(is_management(path), "{path}");
        }
        for path in ["/v1/organizations", "/v1/organization-a", "/v1", "/v1/a"] {
            assert!(!is_management(path), "{path}");
        }
    }

    #[test]
    fn a_header_list_has_32_bytes_more_for_each_field() {
        let mut request = Request::get("https://b/c?d").body(()).unwrap();
        let (names, values) = (7 + 7 + 10 + 5, 3 + 5 + 1 + 4);
        let pseudo = names + values + 4 * 32;
        assert_eq!(list_bytes(&request), pseudo);
        let headers = request.headers_mut();
        headers.append("a", HeaderValue::from_static("bc"));
        headers.append("a", HeaderValue::from_static(""));
        assert_eq!(list_bytes(&request), pseudo + 3 + 1 + 2 * 32);
    }
}
