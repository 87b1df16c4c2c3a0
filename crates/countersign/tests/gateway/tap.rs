//! A tap between a gateway and its control plane: it records the batches of observations that pass,
//! and can be closed, or drop the responses to them.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use countersign_types::observation::ObservationBatch;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming, client::conn::http1 as client, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request to the control plane.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is forwarded.
    Open,
    /// Nothing reaches the control plane.
    Closed,
    /// Observations reach it, and the responses are dropped.
    Lossy,
    /// The serial numbers that revocation lists name cannot be had.
    WithoutSets,
}

#[derive(Clone)]
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    plane: SocketAddr,
    mode: AtomicU8,
    batches: Mutex<Vec<ObservationBatch>>,
    lost: AtomicUsize,
}

impl Tap {
    pub(crate) async fn before(plane: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            plane,
            mode: AtomicU8::new(0),
            batches: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let tap = Self { address, state };
        let accepting = tap.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tap = accepting.clone();
                let service = service_fn(move |request| {
                    let tap = tap.clone();
                    async move { tap.pass(request).await }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        tap
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state.mode.store(mode as u8, Ordering::SeqCst);
    }

    fn is(&self, mode: Mode) -> bool {
        self.state.mode.load(Ordering::SeqCst) == mode as u8
    }

    /// The batches that were forwarded, copies included.
    pub(crate) fn batches(&self) -> Vec<ObservationBatch> {
        self.state.batches.lock().unwrap().clone()
    }

    /// How many responses were dropped.
    pub(crate) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }

    /// Forwards a request. An error closes the connection without a response.
    async fn pass(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if self.is(Mode::Closed) {
            return Err(io::Error::other("closed"));
        }
        if self.is(Mode::WithoutSets) && head.uri.path().ends_with("/revoked-sets") {
            let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
            *answer.status_mut() = http::StatusCode::NOT_FOUND;
            return Ok(answer);
        }
        let observes = head.uri.path() == "/v1/countersign/observations";
        if observes {
            let batch = serde_json::from_slice(&body).unwrap();
            self.state.batches.lock().unwrap().push(batch);
        }
        let stream = TcpStream::connect(self.state.plane).await?;
        let (mut sender, connection) = client::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        let request = Request::from_parts(head, Full::new(body));
        let answer = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if observes && self.is(Mode::Lossy) {
            self.state.lost.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::other("lost"));
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }
}
