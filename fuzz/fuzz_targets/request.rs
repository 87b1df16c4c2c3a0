//! Any request with a valid key is answered with a success or with the documented error envelope,
//! never with a fault of the server. The first line is the method and the target; the rest is the
//! body.
#![no_main]

use std::cell::RefCell;

use axum::{Router, body::Body};
use countersign_server::{
    App, router,
    store::{Location, Sources, Store},
};
use countersign_types::error::{ErrorCode, ErrorResponse};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// A control plane in memory. It is replaced now and then, because what inputs leave behind adds up.
struct Plane {
    runtime: Runtime,
    router: Router,
    key: String,
    requests: u32,
}

const REQUESTS: u32 = 5_000;

thread_local! {
    static PLANE: RefCell<Option<Plane>> = const { RefCell::new(None) };
}

impl Plane {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (router, key) = runtime.block_on(async {
            let sources = Sources::system();
            let store = Store::open(&Location::Memory, sources.clone())
                .await
                .unwrap();
            let made = store.create_organization("fuzz").await.unwrap();
            let key = made.key.value.unwrap().reveal().to_owned();
            (
                router(App::new(store, &sources).unwrap()).into_router(),
                key,
            )
        });
        Self {
            runtime,
            router,
            key,
            requests: 0,
        }
    }

    fn ask(&mut self, request: Request<Body>) -> (Response<()>, Vec<u8>) {
        self.requests += 1;
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            (Response::from_parts(head, ()), body)
        })
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Corpus::Reject;
    };
    PLANE.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|plane| plane.requests > REQUESTS) {
            *slot = Some(Plane::new());
        }
        let plane = slot.as_mut().unwrap();
        let Some(request) = request(&input[..end], &input[end + 1..], &plane.key) else {
            return Corpus::Reject;
        };
        let (head, body) = plane.ask(request);
        check(&head, &body);
        Corpus::Keep
    })
});

fn request(line: &[u8], body: &[u8], key: &str) -> Option<Request<Body>> {
    let (method, target) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Request::builder()
        .method(method)
        .uri(format!("/v1/{target}"))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_vec()))
        .ok()
}

fn check(head: &Response<()>, body: &[u8]) {
    assert!(head.headers().contains_key("x-request-id"));
    let status = head.status().as_u16();
    if status == 200 {
        return;
    }
    let envelope: ErrorResponse = serde_json::from_slice(body).unwrap();
    let code = envelope.error.code.unwrap();
    let code = ErrorCode::from_code(&code).expect("a documented code");
    assert_eq!(code.status(), status);
    assert!(status < 500, "{}", envelope.error.message);
}
