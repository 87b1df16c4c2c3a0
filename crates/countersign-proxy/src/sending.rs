//! Sending a request to an upstream until the head of its response, on a connection that idles or on
//! a new one, and once more where that is right.

use std::{future::poll_fn, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::{task::yield_now, time::Instant};

use crate::{
    connect::{Http1, no_address},
    connections::{Connections, Lease},
    error::{Broken, ForwardError},
    exchange::Exchange,
    http2_request,
    http2_upstream::Http2,
    repeat::{Copied, Spare, is_unprocessed},
    request_body::RequestBody,
    request_target::readdress,
    stream_body::StreamBody,
    traffic::Traffic,
    upstream::Upstream,
};

/// A connection that idled for longer is looked at once more before a request goes on it that could
/// not be repeated. A thread looks at all its connections far more often than that.
const JUST_USED: Duration = Duration::from_millis(10);

/// How often a request is sent on an HTTP/2 connection that others share, of which it can be the
/// victim. The next time it gets a connection of its own.
const SHARED_TRIES: u32 = 2;

/// How often a request is sent at all that its HTTP/2 upstream says it did not process.
const TRIES: u32 = 4;

/// A response, in the version of HTTP that the upstream speaks.
#[derive(Debug)]
pub(crate) enum Answer {
    Http1(Response<Incoming>),
    Http2(Response<StreamBody>),
}

/// The head of a response, and the connection to give back after its body.
pub(crate) type Head<E> = (Answer, Lease<E>);

/// A future of the head of a response. Boxed: it is large, and would be copied with everything that
/// holds it.
pub(crate) type Awaited<E> = Pin<Box<dyn Future<Output = Result<Head<E>, ForwardError>> + Send>>;

/// Why there is no response.
enum Failure<E: Exchange> {
    /// The upstream has processed nothing of the request, whatever its method is.
    Unprocessed(Box<Request<RequestBody<E>>>, Broken),
    /// A connection that had served before ended without any answer, and the request can be sent
    /// once more: its method is idempotent (RFC 9110 section 9.2.2), and its body is still whole.
    Unanswered(Box<Request<RequestBody<E>>>, Broken),
    /// It cannot be sent once more.
    Final(Broken),
}

/// A request under way on an HTTP/1.1 connection.
struct Sent<E: Exchange> {
    /// Boxed: it may hold the request, and would be copied with each future around it.
    response: Pin<Box<dyn Future<Output = Answered<E>> + Send>>,
    on: Http1<E>,
    spare: Option<Spare<E>>,
}

/// Someone awaits the response on a connection. When nobody does before it has come, the connection is
/// abandoned: hyper would go on with it as long as its upstream takes nothing of the request.
struct AwaitedHere(Option<Arc<Traffic>>);

impl AwaitedHere {
    fn no_longer(mut self) {
        self.0 = None;
    }
}

impl Drop for AwaitedHere {
    fn drop(&mut self) {
        if let Some(traffic) = &self.0 {
            traffic.abandon();
        }
    }
}

type Answered<E> = Result<Response<Incoming>, TrySendError<Request<RequestBody<E>>>>;

impl<E: Exchange> Sent<E> {
    async fn head(mut self, connections: &Arc<Connections<E>>) -> Result<Head<E>, Failure<E>> {
        // What seldom happens is boxed, so that it does not make each future large.
        let failure = match self.response.as_mut().await {
            Ok(response) => {
                connections.health.succeed();
                let lease = connections.lease_http1(self.on, response.headers());
                return Ok((Answer::Http1(response), lease));
            }
            Err(failed) => Box::pin(why_unanswered(failed, self.on, self.spare)),
        };
        Err(failure.await)
    }
}

async fn why_unanswered<E: Exchange>(
    mut failed: TrySendError<Request<RequestBody<E>>>,
    on: Http1<E>,
    spare: Option<Spare<E>>,
) -> Failure<E> {
    let unsent = failed.take_message();
    let error = failed.into_error().into();
    if let Some(unsent) = unsent {
        return Failure::Unprocessed(Box::new(unsent), error);
    }
    match spare {
        Some(spare) if !on.traffic.has_received() => match spare.again(&on.traffic).await {
            Some(request) => Failure::Unanswered(Box::new(request), error),
            None => Failure::Final(error),
        },
        _ => Failure::Final(error),
    }
}

impl<E: Exchange> Connections<E> {
    /// Sends a request at once.
    fn send_http1(mut on: Http1<E>, mut request: Request<RequestBody<E>>) -> Sent<E> {
        let spare = if on.reused && request.method().is_idempotent() {
            Some(Spare::recorded(&mut request, &on.traffic))
        } else {
            request.body().begin_on(&on.traffic, false);
            None
        };
        request.body_mut().send_on(&on.traffic);
        let awaited = AwaitedHere(Some(Arc::clone(&on.traffic)));
        let answering = on.sender.try_send_request(request);
        Sent {
            response: Box::pin(async move {
                let awaited = awaited;
                let answered = answering.await;
                awaited.no_longer();
                answered
            }),
            on,
            spare,
        }
    }

    async fn send_http2(
        self: &Arc<Self>,
        on: Http2,
        reused: bool,
        mut request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, Failure<E>> {
        let mut sender = on.sender.clone();
        if let Err(error) = poll_fn(|context| sender.poll_ready(context)).await {
            self.retire(on.number);
            return Err(Failure::Unprocessed(Box::new(request), error.into()));
        }
        let share = on.begin_use();
        let repeatable = reused && request.method().is_idempotent();
        let spare = Copied::of(&mut request);
        let error = match http2_request::send(sender, request).await {
            Ok(response) => {
                self.health.succeed();
                return Ok((Answer::Http2(response), self.lease_http2(share)));
            }
            Err(error) => error,
        };
        let unprocessed = is_unprocessed(&error);
        let error = Broken::from(error);
        let lost = error.is_lost();
        if unprocessed || lost {
            self.retire(on.number);
        }
        if !(unprocessed || lost && repeatable) {
            return Err(Failure::Final(error));
        }
        match spare.again().await {
            Some(request) if unprocessed => Err(Failure::Unprocessed(Box::new(request), error)),
            Some(request) => Err(Failure::Unanswered(Box::new(request), error)),
            None => Err(Failure::Final(error)),
        }
    }
}

/// What was tried for one request.
#[derive(Debug, Default)]
struct Tried {
    addresses: Vec<SocketAddr>,
    /// Why the last one did not serve.
    last: Option<ForwardError>,
}

impl Tried {
    fn add(&mut self, address: SocketAddr, error: impl Into<ForwardError>) {
        self.addresses.push(address);
        self.last = Some(error.into());
    }

    fn into_error(self) -> ForwardError {
        self.last.unwrap_or_else(no_address)
    }
}

impl<E: Exchange> Upstream<E> {
    /// Sends a request that was written for this address, if one was chosen; the future awaits the
    /// head of the response. If an idle connection takes the request, it is
    /// under way when this returns.
    pub(crate) fn send(
        self: &Arc<Self>,
        chosen: Option<Arc<Connections<E>>>,
        request: Request<RequestBody<E>>,
        now: Instant,
    ) -> Awaited<E> {
        let upstream = Arc::clone(self);
        if self.options.http2 {
            return Box::pin(upstream.find_http2(chosen, request, now));
        }
        let Some(connections) = chosen else {
            return Box::pin(upstream.send_first(request));
        };
        if !request.method().is_idempotent() && connections.last_used(now) > Some(JUST_USED) {
            return Box::pin(upstream.send_carefully(connections, request));
        }
        match connections.take_idle(now) {
            None => Box::pin(upstream.send_on_new(connections, request)),
            Some(on) => {
                let sent = Connections::send_http1(on, request);
                Box::pin(upstream.finish(connections, sent))
            }
        }
    }

    /// Sends a request before any address was known.
    async fn send_first(
        self: Arc<Self>,
        mut request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
        let connections = self.choose_first(&mut request).await?;
        self.send_on_new(connections, request).await
    }

    /// Chooses an address for a request that was written for the first server, before any address
    /// was known.
    async fn choose_first(
        self: &Arc<Self>,
        request: &mut Request<RequestBody<E>>,
    ) -> Result<Arc<Connections<E>>, ForwardError> {
        self.resolve_first().await?;
        let connections = self.choose(&[]).ok_or_else(no_address)?;
        readdress(self.first_target(), connections.target(), request)?;
        Ok(connections)
    }

    /// Sends a request that must not be repeated: on an idle connection only if the upstream has not
    /// closed it by now.
    async fn send_carefully(
        self: Arc<Self>,
        connections: Arc<Connections<E>>,
        request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
        // The thread looks at its sockets, and hyper's tasks see what was closed.
        yield_now().await;
        match connections.take_idle(Instant::now()) {
            Some(on) => {
                let sent = Connections::send_http1(on, request);
                self.finish(connections, sent).await
            }
            None => self.send_on_new(connections, request).await,
        }
    }

    /// Awaits the response on an idle connection. If the upstream closed it just now, the request is
    /// sent once more where that is right, on a new one.
    async fn finish(
        self: Arc<Self>,
        connections: Arc<Connections<E>>,
        sent: Sent<E>,
    ) -> Result<Head<E>, ForwardError> {
        let request = match sent.head(&connections).await {
            Ok(head) => return Ok(head),
            Err(Failure::Final(error)) => return Err(error.into()),
            Err(Failure::Unprocessed(request, _) | Failure::Unanswered(request, _)) => request,
        };
        self.options.counters.repeats.increment(1);
        Box::pin(self.send_on_new(connections, *request)).await
    }

    /// Sends a request on a new connection: to the address that it was written for, or to the next
    /// one as long as nothing of it was sent.
    async fn send_on_new(
        self: Arc<Self>,
        mut connections: Arc<Connections<E>>,
        mut request: Request<RequestBody<E>>,
    ) -> Result<Head<E>, ForwardError> {
        let mut tried = Tried::default();
        loop {
            let address = connections.address();
            match connections.open_http1().await {
                Ok(on) => match Connections::send_http1(on, request)
                    .head(&connections)
                    .await
                {
                    Ok(head) => return Ok(head),
                    Err(Failure::Unprocessed(unsent, error)) => {
                        request = *unsent;
                        self.end_silently(&connections);
                        tried.add(address, error);
                    }
                    Err(Failure::Unanswered(_, error) | Failure::Final(error)) => {
                        if !error.is_of_request() {
                            self.end_silently(&connections);
                        }
                        return Err(error.into());
                    }
                },
                Err(error) => {
                    self.fail(&connections);
                    tried.add(address, error);
                }
            }
            let Some(next) = self.choose(&tried.addresses) else {
                return Err(tried.into_error());
            };
            readdress(connections.target(), next.target(), &mut request)?;
            connections = next;
        }
    }

    /// Sends a request on the shared HTTP/2 connection of an address.
    async fn find_http2(
        self: Arc<Self>,
        chosen: Option<Arc<Connections<E>>>,
        mut request: Request<RequestBody<E>>,
        now: Instant,
    ) -> Result<Head<E>, ForwardError> {
        let mut connections = match chosen {
            Some(connections) => connections,
            None => self.choose_first(&mut request).await?,
        };
        if !request.method().is_idempotent() && connections.shared_last_used(now) > JUST_USED {
            // As in `send_carefully`: hyper's tasks see what the upstream closed, or is about to.
            yield_now().await;
        }
        let (mut tried, mut tries) = (Tried::default(), 0);
        loop {
            let opened = if tries < SHARED_TRIES {
                connections.http2(now).await
            } else {
                let own = connections.open_http2().await;
                own.map(|on| (on, false))
            };
            match opened {
                Ok((on, reused)) => {
                    let failure = match connections.send_http2(on, reused, request).await {
                        Ok(head) => return Ok(head),
                        Err(failure) => failure,
                    };
                    tries += 1;
                    request = self.repeat(&connections, failure, &mut tries)?;
                }
                Err(error) => {
                    self.fail(&connections);
                    tried.add(connections.address(), error);
                }
            }
            let next = self.choose(&tried.addresses);
            let next = next.ok_or_else(|| tried.last.take().unwrap_or_else(no_address))?;
            readdress(connections.target(), next.target(), &mut request)?;
            connections = next;
        }
    }

    /// The request that is to be sent once more over HTTP/2.
    fn repeat(
        &self,
        connections: &Connections<E>,
        failure: Failure<E>,
        tries: &mut u32,
    ) -> Result<Request<RequestBody<E>>, ForwardError> {
        let (request, error) = match failure {
            Failure::Unprocessed(request, error) => (request, error),
            Failure::Unanswered(request, error) => {
                // On a connection of its own, so that this happens once.
                *tries = SHARED_TRIES.max(*tries);
                (request, error)
            }
            Failure::Final(error) => {
                if error.is_lost() {
                    self.end_silently(connections);
                }
                return Err(error.into());
            }
        };
        if *tries >= TRIES {
            return Err(error.into());
        }
        self.options.counters.repeats.increment(1);
        Ok(*request)
    }
}
