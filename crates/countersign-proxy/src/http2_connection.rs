//! A client's HTTP/2 connection. It is served with `h2` itself: hyper's server can send no interim
//! response, keeps whole chunks for each stream that does not take them, and begins work for streams
//! that are reset already.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, Handshake, SendResponse},
};
use http::{Request, Response};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    backlog::Piece,
    client_body::{ClientBody, Http2Body},
    error::BodyError,
    field_block::HeadFault,
    frame_budget::Budget,
    http2_io::{Http2Io, Traffic},
    http2_response::{Reset, Responses, send_body, send_head},
    interim::Interims,
    keep_alive::KeepAlive,
};

/// How much of one request's body a client may send ahead. Over a path of 50 ms that is 5 MiB each
/// second.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The largest window there is (RFC 9113 section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// The most that one stream may have waiting in `h2`.
const SEND_BUFFER: usize = 64 * 1024;

/// A request that is reset within this time, and before its response, was work for nothing.
const PREMATURE: Duration = Duration::from_secs(1);

/// How many of these a connection may have at once; each response allows for one more, and so does
/// each second.
const PREMATURE_RESETS: u32 = 100;

/// What a client's HTTP/2 connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Http2Limits {
    /// Requests at once.
    pub concurrent_streams: u32,
    /// Bytes of a request's header list. Twice as many are read, to say what is wrong.
    pub header_bytes: usize,
    /// How long a connection may be silent before it is pinged.
    pub ping_interval: Duration,
    /// How long its client may take nothing of what is sent.
    pub send_timeout: Duration,
}

/// Why a connection is closed on its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// More frames that are no work than a client can have reason to send.
    Frames,
    /// Too many requests that are reset before they are answered.
    Resets,
}

/// Serves the requests of a client's HTTP/2 connection.
pub trait ServeHttp2: Send + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error = BodyError> + Send + 'static;

    /// The response to a request. With a fault it is none: something stands in it for a value that no
    /// request has, and it must be refused.
    fn serve(
        &self,
        request: Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;

    /// Notes a request that was refused as HTTP/2 has it, by a reset, and is no request of HTTP
    /// (RFC 9113 section 8.1.1), and why, if that is known.
    fn note_malformed(&self, fault: Option<HeadFault>);

    /// Notes why the connection is closed.
    fn note_flood(&self, flood: Flood);
}

/// A client's HTTP/2 connection; it is served as long as it is polled.
#[derive(Debug)]
pub struct Http2Connection<S, H> {
    state: State<S>,
    requests: Requests<H>,
}

enum State<S> {
    Opening(Handshake<Http2Io<S>, Piece>, Duration),
    Open(Connection<Http2Io<S>, Piece>, KeepAlive),
}

impl<S> std::fmt::Debug for State<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening(..) => "Opening",
            Self::Open(..) => "Open",
        })
    }
}

/// What is known of the requests of a connection.
#[derive(Debug)]
struct Requests<H> {
    service: H,
    responses: Arc<Responses>,
    resets: Arc<Resets>,
    /// How many there were, with those that were malformed.
    seen: u64,
    /// No further request is accepted.
    closing: bool,
    /// It was closed for a flood.
    flooded: bool,
}

impl<S, H> Http2Connection<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: ServeHttp2,
{
    /// Begins to serve a connection, once its TLS handshake is done.
    /// The clock gives seconds since the Unix epoch.
    pub fn new(
        stream: S,
        limits: &Http2Limits,
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
        service: H,
    ) -> Self {
        let traffic = Arc::<Traffic>::default();
        let list = limits.header_bytes.saturating_mul(2);
        let stream = Http2Io::new(stream, limits.send_timeout, list, Arc::clone(&traffic));
        // One stalled upload leaves each of the others its whole window.
        let window = STREAM_WINDOW.saturating_mul(limits.concurrent_streams.max(1));
        let handshake = Builder::new()
            .max_concurrent_streams(limits.concurrent_streams)
            .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window.min(MAX_WINDOW))
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(stream);
        let responses = Responses {
            clock,
            backlog: Arc::default(),
            traffic,
            send_timeout: limits.send_timeout,
        };
        Self {
            state: State::Opening(handshake, limits.ping_interval),
            requests: Requests {
                service,
                responses: Arc::new(responses),
                resets: Arc::new(Resets::new()),
                seen: 0,
                closing: false,
                flooded: false,
            },
        }
    }

    /// Lets the requests under way end, and accepts no others.
    pub fn graceful_shutdown(&mut self) {
        self.requests.closing = true;
        if let State::Open(connection, _) = &mut self.state {
            connection.graceful_shutdown();
        }
    }
}

impl<S, H> Future for Http2Connection<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: ServeHttp2 + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Opening(handshake, ping_interval) => {
                    let Ok(mut connection) = ready!(Pin::new(handshake).poll(context)) else {
                        return Poll::Ready(());
                    };
                    if this.requests.closing {
                        connection.graceful_shutdown();
                    }
                    let alive = KeepAlive::new(connection.ping_pong(), *ping_interval);
                    this.state = State::Open(connection, alive);
                }
                State::Open(connection, alive) => {
                    let traffic = &this.requests.responses.traffic;
                    if alive.is_dead(|| traffic.is_silent(), context) {
                        return Poll::Ready(());
                    }
                    return this.requests.poll(connection, context);
                }
            }
        }
    }
}

impl<H: ServeHttp2> Requests<H> {
    /// Accepts what arrives, until the connection ends.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<Http2Io<S>, Piece>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond, context),
                Poll::Ready(Some(Err(error))) => {
                    // What `h2` itself has a bound for.
                    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                        self.service.note_flood(Flood::Frames);
                    }
                    // A head may end the whole connection.
                    self.note_malformed(|traffic| &traffic.arrived);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    self.note_malformed(|traffic| &traffic.heads);
                    if !self.must_close() {
                        return Poll::Pending;
                    }
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
        }
    }

    /// Begins the work for a request, unless it is reset already.
    fn accept(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Piece>,
        context: &mut Context<'_>,
    ) {
        self.seen += 1;
        if respond.poll_reset(context).is_ready() {
            self.resets.count();
            return;
        }
        let interims = Arc::<Interims>::default();
        let (mut head, stream) = request.into_parts();
        let fault = HeadFault::take(&mut head.headers);
        let body = Http2Body::new(stream, &head.headers, &interims);
        let request = Request::from_parts(head, ClientBody::Http2(body));
        let response = self.service.serve(request, fault);
        let (responses, resets) = (Arc::clone(&self.responses), Arc::clone(&self.resets));
        let started = Instant::now();
        tokio::spawn(async move {
            match send_head(&mut respond, response, &interims, &responses).await {
                Ok(rest) => {
                    resets.answered();
                    if let Some((stream, body)) = rest {
                        send_body(stream, body, &responses).await;
                    }
                }
                Err(Reset) if started.elapsed() < PREMATURE => resets.count(),
                Err(Reset) => {}
            }
        });
    }

    /// Notes which of these heads are no requests.
    fn note_malformed(&mut self, heads: impl Fn(&Traffic) -> &AtomicU64) {
        let heads = heads(&self.responses.traffic).load(Ordering::Relaxed);
        while self.seen < heads {
            self.seen += 1;
            // A connection that is being closed takes no request, whatever its shape.
            if !self.closing {
                let fault = self.responses.traffic.take_fault();
                self.service.note_malformed(fault);
            }
        }
    }

    /// Whether the connection must be closed now, and was not yet.
    fn must_close(&mut self) -> bool {
        let flood = if self.responses.traffic.flooded.load(Ordering::Relaxed) {
            Flood::Frames
        } else if self.resets.are_too_many() {
            Flood::Resets
        } else {
            return false;
        };
        if std::mem::replace(&mut self.flooded, true) {
            return false;
        }
        self.closing = true;
        self.service.note_flood(flood);
        true
    }
}

/// Counts requests that were reset before they were answered.
#[derive(Debug)]
struct Resets {
    budget: Mutex<Budget>,
    beyond: AtomicU64,
}

impl Resets {
    fn new() -> Self {
        let budget = Budget::new(PREMATURE_RESETS, PREMATURE_RESETS, 1, Instant::now());
        Self {
            budget: Mutex::new(budget),
            beyond: AtomicU64::new(0),
        }
    }

    fn answered(&self) {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.earn(1);
    }

    fn count(&self) {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if !budget.spend(1, Instant::now) {
            self.beyond.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn are_too_many(&self) -> bool {
        self.beyond.load(Ordering::Relaxed) > 0
    }
}
