//! The upstream: it echoes requests, streams, upgrades, and misbehaves when asked to.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

type Body = BoxBody<Bytes, Infallible>;

pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = service_fn(move |request| async move {
                let mut response = answer(request).await?;
                let peer = peer.to_string().parse().unwrap();
                response.headers_mut().insert("x-peer", peer);
                Ok::<_, Infallible>(response)
            });
            let serving = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(serving);
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(match request.uri().path() {
        "/v1/events" => events(),
        "/v1/socket" => socket(request),
        "/v1/never" => std::future::pending().await,
        "/v1/trailers" => trailers(),
        "/v1/chunks" => chunks(),
        "/v1/large" => Response::new(whole(Bytes::from(vec![b'x'; 4 << 20]))),
        _ => echo(request).await,
    })
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed()
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await;
    let (trailers, bytes) = match body {
        Ok(body) => (body.trailers().cloned(), body.to_bytes()),
        Err(_) => (None, Bytes::new()),
    };
    let headers = |map: &http::HeaderMap| {
        let mut shown: Map<String, Value> = Map::new();
        for (name, value) in map {
            let entry = shown.entry(name.as_str()).or_insert_with(|| json!([]));
            entry
                .as_array_mut()
                .unwrap()
                .push(json!(value.to_str().unwrap()));
        }
        shown
    };
    let text = json!({
        "method": head.method.as_str(),
        "path": head.uri.to_string(),
        "headers": headers(&head.headers),
        "trailers": trailers.as_ref().map(headers),
        "body": String::from_utf8_lossy(&bytes),
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header("keep-alive", "timeout=5")
        .body(whole(text.to_string().into()))
        .unwrap()
}

/// Server-sent events: one at once, then no more, without ending.
fn events() -> Response<Body> {
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    tokio::spawn(async move {
        let first = Frame::data(Bytes::from_static(b"data: first\n\n"));
        if sender.send(Ok(first)).await.is_ok() {
            sender.closed().await;
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .body(StreamBody::new(stream).boxed())
        .unwrap()
}

fn trailers() -> Response<Body> {
    let mut map = http::HeaderMap::new();
    map.insert("x-checksum", "abc".parse().unwrap());
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"body"))),
        Ok(Frame::trailers(map)),
    ];
    Response::builder()
        .header(header::TRAILER, "x-checksum")
        .body(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        .unwrap()
}

/// A body of unknown length.
fn chunks() -> Response<Body> {
    let frames = [Ok(Frame::data(Bytes::from_static(b"chunk")))];
    Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed())
}

/// Changes to a protocol that echoes every byte.
fn socket(mut request: Request<Incoming>) -> Response<Body> {
    if !request.headers().contains_key(header::UPGRADE) {
        return Response::builder()
            .status(StatusCode::UPGRADE_REQUIRED)
            .body(whole(Bytes::new()))
            .unwrap();
    }
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let mut io = TokioIo::new(upgraded);
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = io.read(&mut buffer).await {
            if io.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .body(whole(Bytes::new()))
        .unwrap()
}
