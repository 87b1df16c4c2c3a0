//! Serving a tool's connection, over HTTP/1.1 or HTTP/2.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_proxy::{
    ClientBody, ClientStream, Flood, HeadFault, Http1Connection, Http2Connection, Http2Limits,
    OverSocket, RefuseHead, ServeHttp2,
};
use http::{Request, Response, StatusCode};
use hyper::service::service_fn;
use tokio_util::sync::CancellationToken;

use crate::{
    body::NotedBody,
    connection::Connection,
    front::{refuse_unreadable, serve},
};

/// How long a tool may take for a head, or keep a connection open without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a tool may take nothing of what it is sent. It may be stopped in a debugger.
const SEND_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The most bytes of a head: tools send long cookies and long URLs.
const HEAD_BYTES: usize = 64 * 1024;

const HTTP2: Http2Limits = Http2Limits {
    concurrent_streams: 250,
    header_bytes: HEAD_BYTES,
    ping_interval: HEAD_TIMEOUT,
    send_timeout: SEND_TIMEOUT,
};

/// Serves HTTP/1.1 until the connection ends; once told to stop, only the request under way.
pub(crate) async fn http1<S>(stream: S, connection: Arc<Connection>, stop: CancellationToken)
where
    S: OverSocket + Send + 'static,
{
    let requests = Requests(Arc::clone(&connection));
    let client = Arc::clone(&connection.client);
    let stream = ClientStream::new(stream, client, requests, SEND_TIMEOUT)
        .with_head_timeout(HEAD_TIMEOUT, Instant::now());
    let service = service_fn(move |request| {
        let response = Box::pin(serve(&connection, ClientBody::http1(request), None));
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut serving = Http1Connection::new(stream, HEAD_BYTES, service);
    tokio::select! {
        biased;
        () = &mut serving => return,
        () = stop.cancelled() => serving.graceful_shutdown(),
    }
    serving.await;
}

/// Serves HTTP/2 until the connection ends; once told to stop, only the requests under way.
pub(crate) async fn http2<S>(stream: S, connection: Arc<Connection>, stop: CancellationToken)
where
    S: OverSocket + Send + 'static,
{
    let now = connection.way.clock;
    let clock = Arc::new(move || u64::try_from(now().unix_timestamp()).unwrap_or_default());
    let requests = Requests(connection);
    let mut serving = Box::pin(Http2Connection::new(stream, &HTTP2, clock, requests));
    tokio::select! {
        biased;
        () = &mut serving => return,
        () = stop.cancelled() => serving.graceful_shutdown(),
    }
    serving.await;
}

/// The requests of one connection.
#[derive(Debug)]
struct Requests(Arc<Connection>);

impl RefuseHead for Requests {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        refuse_unreadable(&self.0, status)
    }
}

impl ServeHttp2 for Requests {
    type Body = NotedBody;

    fn serve(
        &self,
        request: Request<ClientBody>,
        fault: Option<HeadFault>,
    ) -> impl Future<Output = Response<NotedBody>> + Send + 'static {
        Box::pin(serve(&self.0, request, fault))
    }

    fn note_malformed(&self, fault: Option<HeadFault>) {
        let why = fault.map(|fault| fault.to_string()).unwrap_or_default();
        tracing::warn!(why, "a tool sent what is no request: HTTP/2 has it reset");
    }

    fn note_flood(&self, flood: Flood) {
        tracing::warn!(
            ?flood,
            "closed an HTTP/2 connection that sent too much that is no work"
        );
    }
}
