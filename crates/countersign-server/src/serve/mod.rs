//! Serving a router over TCP: TLS when given a certificate, HTTP/1.1 and HTTP/2, limits on what a
//! client may hold, and a clean shutdown.

mod routes;
mod tls;

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use axum::body::{Body, Bytes, HttpBody};
use countersign_proxy::{
    ClientState, ClientStream, HeadFault, OverSocket, RefuseHead as _, SoundHeads,
};
use countersign_tls::ReloadingServerConfig;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::metrics::CONNECTIONS;

pub(crate) use self::routes::BothLengths;
pub use self::{routes::Routes, tls::listener_tls};

/// How long a client may take nothing of what is sent to it.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection without a request under way may stay open once the shutdown has begun.
const CLOSING: Duration = Duration::from_secs(1);

/// The most bytes of a request's line and headers.
pub(crate) const HEADER_BYTES: usize = 32 * 1024;

/// The limits of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take for its TLS handshake, and for the headers of a request, from
    /// the end of the one before: so also how long a connection may be idle.
    pub header_timeout: Duration,
    /// The most bytes of a request's line and headers.
    pub header_bytes: usize,
    /// The most connections at once; further ones wait in the accept queue.
    pub connections: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long requests under way may take to finish, once the shutdown has begun.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            header_bytes: HEADER_BYTES,
            connections: 4096,
            streams: 128,
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves `routes` on a bound listener until `shutdown`, then drains: it accepts nothing new, gives
/// requests under way `limits.grace` to finish, and cuts the rest.
///
/// A handler that waits for long must end on the same signal, as
/// [`App::close`](crate::App::close) makes the bundle route do.
/// A failing `accept` is retried.
pub async fn serve(
    listener: TcpListener,
    routes: impl Into<Routes>,
    tls: Option<Arc<ReloadingServerConfig>>,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) {
    let acceptor = Acceptor {
        http1: Arc::new(http_builder(&limits).http1_only()),
        http2: Arc::new(http_builder(&limits).http2_only()),
        routes: routes.into(),
        tls,
        graceful: GracefulShutdown::new(),
        requests: TaskTracker::new(),
        header_timeout: limits.header_timeout,
    };
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, slot) = accept(&listener, &slots) => {
                connections.spawn(acceptor.connection(stream, slot));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let requests = acceptor.requests;
    requests.close();
    let drained = async {
        tokio::select! {
            () = acceptor.graceful.shutdown() => {}
            // A client that has sent but half a head keeps nothing open.
            () = async {
                requests.wait().await;
                sleep(CLOSING).await;
            } => {}
        }
    };
    if timeout(limits.grace, drained).await.is_err() {
        tracing::warn!("requests were still under way after the grace period and were cut");
    }
    connections.shutdown().await;
}

fn http_builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        // Twice as many are read, to say what is wrong.
        .max_header_list_size(u32::try_from(limits.header_bytes * 2).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Waits for a free slot, then for a connection.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                // Most often there are no file descriptors left: connections that end free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What serves a connection. Only ALPN chooses HTTP/2, never the first bytes: `hyper-util` waits for
/// those without a time limit, so a silent client would keep its slot for ever.
struct Acceptor {
    http1: Arc<auto::Builder<TokioExecutor>>,
    http2: Arc<auto::Builder<TokioExecutor>>,
    routes: Routes,
    tls: Option<Arc<ReloadingServerConfig>>,
    graceful: GracefulShutdown,
    /// The requests under way, each until its response is sent.
    requests: TaskTracker,
    header_timeout: Duration,
}

impl Acceptor {
    fn connection(
        &self,
        stream: TcpStream,
        slot: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = ()> + use<> {
        let (http1, http2) = (Arc::clone(&self.http1), Arc::clone(&self.http2));
        let routes = self.routes.clone();
        let tls = self
            .tls
            .as_ref()
            .map(|tls| TlsAcceptor::from(tls.current()));
        let watcher = self.graceful.watcher();
        let requests = self.requests.clone();
        let header_timeout = self.header_timeout;
        async move {
            // Held until the connection ends.
            let _slot = slot;
            let _open = Open::begin();
            // Responses are small and sent whole: waiting to fill a packet only adds delay.
            let _ = stream.set_nodelay(true);
            let served = match tls {
                None => serve_http1(&http1, stream, routes, watcher, requests).await,
                Some(tls) => match timeout(header_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                        serve_http2(&http2, stream, routes, watcher, requests).await
                    }
                    Ok(Ok(stream)) => serve_http1(&http1, stream, routes, watcher, requests).await,
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Err("the TLS handshake took too long".into()),
                },
            };
            if let Err(error) = served {
                tracing::debug!(error = %error, "a connection ended early");
            }
        }
    }
}

/// A connection that is open, counted until it ends.
struct Open(metrics::Gauge);

impl Open {
    fn begin() -> Self {
        let open = metrics::gauge!(CONNECTIONS);
        open.increment(1.0);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

type Served = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Serves HTTP/1.1, on a stream that refuses whole what hyper refuses barely.
async fn serve_http1<S: OverSocket + Send + 'static>(
    http: &auto::Builder<TokioExecutor>,
    stream: S,
    routes: Routes,
    watcher: Watcher,
    requests: TaskTracker,
) -> Served {
    let client = Arc::new(ClientState::default());
    let stream = ClientStream::new(stream, Arc::clone(&client), routes.unreadable, SEND_TIMEOUT);
    let router = TowerToHyperService::new(routes.router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let ambiguous = client.begin();
        if ambiguous {
            request.extensions_mut().insert(BothLengths);
        }
        let answering = router.call(request);
        let client = Arc::clone(&client);
        let under_way = requests.token();
        async move {
            let response = answering.await?;
            client.answer();
            Ok::<_, Infallible>(until_sent(response, under_way))
        }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection.into_owned()).await
}

async fn serve_http2(
    http: &auto::Builder<TokioExecutor>,
    stream: TlsStream<TcpStream>,
    routes: Routes,
    watcher: Watcher,
    requests: TaskTracker,
) -> Served {
    let router = TowerToHyperService::new(routes.router);
    let unreadable = routes.unreadable;
    let stream = SoundHeads::new(stream, HEADER_BYTES * 2, move |fault| {
        tracing::info!(reason = %fault, "an HTTP/2 client sent what is no request: it is reset");
        // Counted and logged as any other; its client is told by the reset.
        drop(unreadable.refuse(StatusCode::BAD_REQUEST));
    });
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(fault) = HeadFault::take(request.headers_mut()) {
            request.extensions_mut().insert(fault);
        }
        let answering = router.call(request);
        let under_way = requests.token();
        async move { Ok::<_, Infallible>(until_sent(answering.await?, under_way)) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection.into_owned()).await
}

/// Keeps a request under way until its response is sent.
fn until_sent(
    response: Response<Body>,
    under_way: TaskTrackerToken,
) -> Response<impl HttpBody<Data = Bytes, Error = axum::Error>> {
    response.map(|body| {
        body.map_frame(move |frame| {
            let _ = &under_way;
            frame
        })
    })
}
