//! Serving HTTP on a connection, as it was agreed in the handshake.

use std::{
    convert::Infallible,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_proxy::{
    ClientBody, ClientStream, Flood, HeadFault, Http1Connection, Http2Connection, Http2Limits,
    RefuseHead, ResponseBody, ServeHttp2,
};
use http::{Request, Response, StatusCode};
use hyper::service::service_fn;
use metrics::counter;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::seldom::seldom;
use crate::{connection::Connection, frontend::Latest, live::stream::Stream};

/// How long a connection that was told to close may stay open without a request under way.
const CLOSING: Duration = Duration::from_secs(1);

/// How many references to a connection its service holds.
const HELD_BY_HTTP1: usize = 2;
const HELD_BY_HTTP2: usize = 1;

/// Whether a client begins to send within the limit. Until it does there is neither a server for it
/// nor a second copy of its chain: an idle connection holds what TLS holds, and nothing else.
pub(super) async fn begins(
    stream: &mut TlsStream<TcpStream>,
    limit: Duration,
    stop: &CancellationToken,
) -> bool {
    let sends = async {
        let first = timeout(limit, stream.fill_buf()).await;
        matches!(first, Ok(Ok(bytes)) if !bytes.is_empty())
    };
    if stop.run_until_cancelled(sends).await == Some(true) {
        return true;
    }
    // Best effort, as where a connection ends between requests: its client may be gone.
    let _ = timeout(CLOSING, stream.shutdown()).await;
    false
}

/// Serves HTTP/1.1 until the connection ends; once told to stop, only the request under way. The
/// first request has been waited for since it began.
pub(super) fn http1(
    latest: &Latest,
    stream: Box<TlsStream<TcpStream>>,
    connection: Arc<Connection>,
    began: Instant,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let shared = Arc::clone(&latest.load().shared);
    let limits = &shared.options.limits;
    let requests = Requests {
        latest: Arc::clone(latest),
        connection: Arc::clone(&connection),
    };
    let client = Arc::clone(&connection.client);
    let watched = Arc::downgrade(&connection);
    let stream = ClientStream::new(stream, client, requests, limits.send_timeout)
        .with_head_timeout(limits.header_timeout, began);
    let latest = Arc::clone(latest);
    // Each request is in a box of its own.
    let service = service_fn(move |request| {
        let frontend = latest.load();
        let request = ClientBody::http1(request);
        let response = Box::pin(frontend.serve(&connection, request, None));
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut serving = Http1Connection::new(stream, limits.header_bytes, service);
    let stop = stop.clone();
    async move {
        tokio::select! {
            biased;
            () = &mut serving => return,
            () = seldom(stop.cancelled()) => serving.graceful_shutdown(),
        }
        // A client that has sent but half a head keeps nothing open.
        tokio::select! {
            biased;
            () = serving => {}
            () = idle(&watched, HELD_BY_HTTP1, CLOSING) => {}
        }
    }
}

/// Serves HTTP/2 until the connection ends; once told to stop, or idle, only the requests under way.
pub(super) fn http2(
    latest: &Latest,
    stream: Box<TlsStream<TcpStream>>,
    connection: Arc<Connection>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let shared = Arc::clone(&latest.load().shared);
    let limits = &shared.options.limits;
    let idle_limit = limits.header_timeout;
    let watched = Arc::downgrade(&connection);
    let http2 = Http2Limits {
        concurrent_streams: limits.concurrent_streams,
        header_bytes: limits.header_bytes,
        ping_interval: limits.header_timeout,
        send_timeout: limits.send_timeout,
    };
    let requests = Requests {
        latest: Arc::clone(latest),
        connection,
    };
    let clock = Arc::clone(&shared.clock);
    let mut serving = Box::pin(Http2Connection::new(stream, &http2, clock, requests));
    let stop = stop.clone();
    async move {
        let ends = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = idle(&watched, HELD_BY_HTTP2, idle_limit) => {}
            }
        };
        tokio::select! {
            biased;
            () = &mut serving => return,
            () = seldom(ends) => {}
        }
        serving.graceful_shutdown();
        // A client that ignores the shutdown keeps only its requests under way open.
        tokio::select! {
            biased;
            () = serving => {}
            () = idle(&watched, HELD_BY_HTTP2, CLOSING) => {}
        }
    }
}

/// The requests of one connection.
#[derive(Debug)]
struct Requests {
    latest: Latest,
    connection: Arc<Connection>,
}

impl RefuseHead for Requests {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        let frontend = self.latest.load();
        frontend.refuse_unreadable(status, &self.connection)
    }
}

impl ServeHttp2 for Requests {
    type Body = ResponseBody<Stream>;

    fn serve(
        &self,
        request: Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> impl Future<Output = Response<ResponseBody<Stream>>> + Send + 'static {
        Box::pin(self.latest.load().serve(&self.connection, request, fault))
    }

    fn note_malformed(&self, fault: Option<HeadFault>) {
        self.latest.load().note_malformed(fault, &self.connection);
    }

    fn note_flood(&self, flood: Flood) {
        note_flood(flood, self.connection.peer_text());
    }
}

/// Notes why an HTTP/2 connection is closed.
pub(crate) fn note_flood(flood: Flood, peer: &str) {
    let (kind, what) = match flood {
        Flood::Frames => ("frames", "more frames that are no work than it can need"),
        Flood::Resets => (
            "resets",
            "too many requests reset before they were answered",
        ),
    };
    counter!("countersign_gateway_floods_total", "kind" => kind).increment(1);
    tracing::warn!(%peer, "closed an HTTP/2 connection: {what}");
}

/// Ready once no request arrived or was under way on a connection for that long. HTTP/1.1 has its
/// header timeout for this; HTTP/2 has none, neither before its first bytes nor between requests.
async fn idle(connection: &Weak<Connection>, held: usize, limit: Duration) {
    let requests = || {
        let connection = connection.upgrade()?;
        Some(connection.requests.load(Ordering::Relaxed))
    };
    let mut known = requests();
    loop {
        tokio::time::sleep(limit).await;
        // Each request under way holds more references.
        let busy = connection.strong_count() > held;
        let now = requests();
        if !busy && now == known {
            return;
        }
        known = now;
    }
}
