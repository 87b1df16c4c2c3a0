//! A server of the reference API that answers whatever it is told to.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// What it answers, and what it was asked.
#[derive(Default)]
struct Conversation {
    answer: Value,
    asked: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct StandIn {
    pub(crate) base_url: String,
    conversation: Arc<Mutex<Conversation>>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let conversation = Arc::new(Mutex::new(Conversation::default()));
        let shared = Arc::clone(&conversation);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let reply = reply(&shared, &request);
                    async move { Ok::<_, Infallible>(reply) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            base_url: format!("http://{address}/v1"),
            conversation,
        }
    }

    /// Answers every request with this from now on.
    pub(crate) fn answer(&self, answer: Value) {
        self.conversation.lock().unwrap().answer = answer;
    }

    /// The requests since the last time that they were taken, each as `METHOD PATH`.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.conversation.lock().unwrap().asked)
    }
}

fn reply(
    conversation: &Mutex<Conversation>,
    request: &Request<Incoming>,
) -> Response<Full<bytes::Bytes>> {
    let mut conversation = conversation.lock().unwrap();
    let path = request.uri().path();
    // What only Countersign has.
    let (status, body) = if path.starts_with("/v1/countersign/") {
        (404, "{}".to_owned())
    } else {
        (200, conversation.answer.to_string())
    };
    conversation
        .asked
        .push(format!("{} {path}", request.method()));
    let reply = Response::builder().status(status);
    reply
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap()
}
