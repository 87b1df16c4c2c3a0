//! What passes between the gateway and an HTTP/2 upstream.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use crate::{
    client::Connection,
    world::{LIMIT, World},
};

type Got = (Request<RecvStream>, SendResponse<Bytes>);

/// An upstream whose streams a test serves itself, on whichever connection they come.
struct Upstream(mpsc::UnboundedReceiver<Got>);

impl Upstream {
    async fn start(builder: &h2::server::Builder) -> (Self, World) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = World::with(|options| {
            options.routes[0].upstream = vec![format!("http://{address}")];
            options.routes[0].http2 = true;
            options.threads = Some(1);
            options.limits.body_timeout = Some(Duration::from_millis(300));
        })
        .await;
        let (got, requests) = mpsc::unbounded_channel();
        let builder = builder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (builder, got) = (builder.clone(), got.clone());
                tokio::spawn(async move {
                    let mut connection = builder.handshake(stream).await.unwrap();
                    while let Some(Ok(request)) = connection.accept().await {
                        let _ = got.send(request);
                    }
                });
            }
        });
        (Self(requests), world)
    }

    async fn plain() -> (Self, World) {
        Self::start(&h2::server::Builder::new()).await
    }

    /// The next request.
    async fn next(&mut self) -> Got {
        timeout(LIMIT, self.0.recv()).await.unwrap().unwrap()
    }
}

fn answer(status: u16) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

/// Sends a request on an HTTP/1.1 connection of its own.
async fn send(world: &World, lines: &str) -> Connection {
    let mut client = world.tls(&[]).connect(world.address()).await;
    let key = &world.key;
    client
        .write(&format!(
            "POST /v1/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{lines}"
        ))
        .await;
    client
}

/// An HTTP/2 client's request whose body goes on.
async fn begin(world: &World) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let tls = world.tls(&[]);
    let builder = h2::client::Builder::new();
    let mut sender = tls.http2_streams(world.address(), &builder).await;
    let request = Request::post("https://localhost/v1/a")
        .header("authorization", format!("Bearer {}", world.key));
    sender
        .send_request(request.body(()).unwrap(), false)
        .unwrap()
}

/// Sends a piece from one end of the gateway to the other.
async fn carry(from: &mut SendStream<Bytes>, to: &mut RecvStream, piece: &[u8]) {
    let sent = Bytes::copy_from_slice(piece);
    from.send_data(sent, false).unwrap();
    let mut arrived = Vec::new();
    while arrived.len() < piece.len() {
        let data = timeout(LIMIT, to.data()).await.expect("more of it");
        let data = data.unwrap().unwrap();
        to.flow_control().release_capacity(data.len()).unwrap();
        arrived.extend(data);
    }
    assert!(arrived == piece, "other bytes");
}

async fn carry_trailers(mut from: SendStream<Bytes>, mut to: RecvStream) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    from.send_trailers(trailers.clone()).unwrap();
    assert!(to.data().await.is_none());
    assert_eq!(to.trailers().await.unwrap(), Some(trailers));
}

/// Why the gateway ended a stream.
async fn reset(respond: &mut SendResponse<Bytes>) -> Reason {
    let reset = poll_fn(|context| respond.poll_reset(context));
    timeout(LIMIT, reset).await.expect("a reset").unwrap()
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_at_the_same_time() {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(16 * 1024);
    let (mut upstream, world) = Upstream::start(&builder).await;
    let (response, mut upload) = begin(&world).await;
    let (request, mut respond) = upstream.next().await;
    let mut download = respond.send_response(answer(200), false).unwrap();
    let mut received = request.into_body();
    let mut response = response.await.unwrap().into_body();
    for byte in 0..20 {
        let piece = vec![byte; 50_000];
        carry(&mut upload, &mut received, &piece).await;
        carry(&mut download, &mut response, &piece).await;
    }
    carry_trailers(download, response).await;
    // The response has ended, and the request goes on.
    carry(&mut upload, &mut received, b"more").await;
    carry_trailers(upload, received).await;
}

#[tokio::test]
async fn interim_responses_reach_the_client() {
    let (mut upstream, world) = Upstream::plain().await;
    let hints = || {
        let mut hints = answer(103);
        let link = HeaderValue::from_static("</a>");
        hints.headers_mut().insert("link", link);
        hints
    };
    let mut client = send(&world, "content-length: 0\r\n\r\n").await;
    let (_, mut respond) = upstream.next().await;
    for _ in 0..2 {
        respond.send_informational(hints()).unwrap();
        let interim = client.head().await.unwrap();
        assert_eq!(
            (interim.status, interim.header("link")),
            (103, Some("</a>"))
        );
    }
    // What answers an `expect` that was answered here is not for the client.
    respond.send_informational(answer(100)).unwrap();
    respond.send_response(answer(200), true).unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);

    let (mut response, mut upload) = begin(&world).await;
    let (_, mut respond) = upstream.next().await;
    respond.send_informational(hints()).unwrap();
    let interim = poll_fn(|context| response.poll_informational(context));
    let interim = timeout(LIMIT, interim).await.expect("a 103").unwrap();
    assert_eq!(interim.unwrap().headers()["link"], "</a>");
    upload.send_data(Bytes::new(), true).unwrap();
    respond.send_response(answer(200), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_whose_client_is_gone_is_reset() {
    let (mut upstream, world) = Upstream::plain().await;
    let client = send(&world, "content-length: 0\r\n\r\n").await;
    let (_, mut respond) = upstream.next().await;
    client.reset();
    assert_eq!(reset(&mut respond).await, Reason::CANCEL);

    let (response, mut upload) = begin(&world).await;
    let (request, mut respond) = upstream.next().await;
    let mut download = respond.send_response(answer(200), false).unwrap();
    let mut response = response.await.unwrap().into_body();
    carry(&mut upload, &mut request.into_body(), b"a piece").await;
    carry(&mut download, &mut response, b"a piece").await;
    upload.send_reset(Reason::CANCEL);
    let reset = poll_fn(|context| download.poll_reset(context));
    let reason = timeout(LIMIT, reset).await.expect("a reset").unwrap();
    assert_eq!(reason, Reason::CANCEL);
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_stalls_is_the_clients_fault() {
    let (mut upstream, world) = Upstream::plain().await;
    for (framing, status) in [
        ("transfer-encoding: chunked\r\n\r\n1\r\na\r\nnone\r\n", 400),
        ("content-length: 10\r\n\r\nhello", 408),
    ] {
        let mut client = send(&world, framing).await;
        let (_request, mut respond) = upstream.next().await;
        assert_eq!(reset(&mut respond).await, Reason::CANCEL, "{framing}");
        let answer = client.answer().await.expect(framing);
        assert_eq!(answer.status, status, "{framing}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_ended_reaches_the_client() {
    let (mut upstream, world) = Upstream::plain().await;
    let mut client = send(&world, "content-length: 1000000\r\n\r\n").await;
    client.write(&"x".repeat(100_000)).await;
    let (request, mut respond) = upstream.next().await;
    respond.send_response(answer(413), true).unwrap();
    // With a reset that says that no more is wanted.
    drop((request, respond));
    client.write(&"x".repeat(900_000)).await;
    assert_eq!(client.head().await.unwrap().status, 413);
}

#[tokio::test]
async fn requests_that_an_upstream_does_not_take_at_once_wait() {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    let (mut upstream, world) = Upstream::start(&builder).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(send(&world, "content-length: 2\r\n\r\nok").await);
    }
    let large = HeaderValue::from_str(&"x".repeat(40_000)).unwrap();
    for _ in 0..5 {
        let (_, mut respond) = upstream.next().await;
        let mut answer = answer(200);
        answer.headers_mut().insert("x-large", large.clone());
        respond.send_response(answer, true).unwrap();
    }
    for client in &mut clients {
        let head = client.head().await.unwrap();
        assert_eq!((head.status, head.head.len() > 40_000), (200, true));
    }
}
