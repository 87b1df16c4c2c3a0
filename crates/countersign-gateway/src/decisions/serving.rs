//! Serving HTTP on a connection of a proxy: HTTP/2 for gRPC, and else HTTP/1.1. The limits are those of
//! clients, and a head has room for the certificates besides.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use countersign_proxy::{Http2Connection, Http2Limits};
use http::{HeaderValue, Request, Response, header::CONNECTION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    auth_request, certificate, deciding::Deciding, envoy_grpc, envoy_http, forward_auth,
    http_answer::Answer,
};
use crate::options::DecisionProtocol;

/// How long requests under way may take once told to stop. A decision waits for nothing.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves a proxy until its connection ends.
pub(super) async fn serve<S>(
    deciding: &Arc<Deciding>,
    stream: S,
    peer: Arc<str>,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match deciding.door.protocol {
        DecisionProtocol::EnvoyGrpc => grpc(deciding, stream, peer, stop).await,
        DecisionProtocol::EnvoyHttp => {
            http1(deciding, stream, peer, stop, envoy_http::answer).await;
        }
        DecisionProtocol::AuthRequest => {
            http1(deciding, stream, peer, stop, auth_request::answer).await;
        }
        DecisionProtocol::ForwardAuth => {
            http1(deciding, stream, peer, stop, forward_auth::answer).await;
        }
    }
}

async fn http1<S>(
    deciding: &Arc<Deciding>,
    stream: S,
    peer: Arc<str>,
    stop: &CancellationToken,
    answer: Answer,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = deciding.limits();
    let head = limits.header_bytes + certificate::MAX_BYTES;
    let served = Arc::clone(deciding);
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&served, &request.map(drop), &peer, answer);
        std::future::ready(Ok::<_, Infallible>(response.map(Full::new)))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .half_close(true)
        .max_buf_size(head)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = Box::pin(serving);
    tokio::select! {
        _ = &mut serving => return,
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    // It is over, one way or the other.
    let _ = tokio::time::timeout(CLOSING, serving).await;
}

/// The response to one request. Who is not the proxy is not served twice on a connection.
fn respond(
    deciding: &Deciding,
    request: &Request<()>,
    peer: &Arc<str>,
    answer: Answer,
) -> Response<Bytes> {
    if deciding.is_proven(request.headers()) {
        return answer(deciding, request, peer);
    }
    let mut response = auth_request::with_body_in_header(deciding.refuse_unproven(peer));
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

async fn grpc<S>(deciding: &Arc<Deciding>, stream: S, peer: Arc<str>, stop: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = deciding.limits();
    let http2 = Http2Limits {
        concurrent_streams: limits.concurrent_streams,
        header_bytes: limits.header_bytes,
        ping_interval: limits.header_timeout,
        send_timeout: limits.send_timeout,
    };
    let proven = Arc::default();
    let requests = envoy_grpc::Requests::new(deciding, &peer, &proven);
    let serving = Http2Connection::new(stream, &http2, deciding.clock(), requests);
    let mut serving = Box::pin(serving);
    tokio::select! {
        () = &mut serving => return,
        () = stop.cancelled() => {}
        () = idle(&proven, limits.header_timeout) => {}
    }
    serving.graceful_shutdown();
    let _ = tokio::time::timeout(CLOSING, serving).await;
}

/// Ready once no request of the proxy came for that long.
async fn idle(proven: &AtomicU64, limit: Duration) {
    let mut known = 0;
    loop {
        sleep(limit).await;
        let now = proven.load(Ordering::Relaxed);
        if now == known {
            return;
        }
        known = now;
    }
}
