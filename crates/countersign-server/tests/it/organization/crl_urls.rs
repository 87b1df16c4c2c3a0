//! Revocation lists that the control plane fetches: from where, how often, and what becomes of it when it cannot.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use countersign_server::{CrlFetcher, CrlFetching, WebhookOptions};
use countersign_testca::{CrlTemplate, Minted, root};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::harness::{START, Server, on_each_store};

/// What a CA publishes, and how it was asked for it.
#[derive(Default)]
struct Published {
    list: Vec<u8>,
    asked: Vec<HeaderMap>,
    status: Option<StatusCode>,
}

type Shared = Arc<Mutex<Published>>;

/// A server of lists: at `/list` what is published, at `/away` a redirect to it, and at `/for-ever` one to itself.
async fn publish() -> (Shared, String) {
    let shared = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let redirect = |to: &'static str| {
        get(move || async move { [(header::LOCATION, to)].into_response().found() })
    };
    let router = Router::new()
        .route("/list", get(list))
        .route("/away", redirect("/list"))
        .route("/for-ever", redirect("/for-ever"))
        .with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (shared, format!("http://{address}"))
}

trait Found {
    fn found(self) -> Response;
}

impl Found for Response {
    fn found(mut self) -> Response {
        *self.status_mut() = StatusCode::FOUND;
        self
    }
}

async fn list(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let mut published = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let etag = format!("\"{}\"", published.list.len());
    let known = headers.get(header::IF_NONE_MATCH) == HeaderValue::from_str(&etag).ok().as_ref();
    published.asked.push(headers);
    if let Some(status) = published.status {
        return status.into_response();
    }
    if known {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, etag)], Bytes::from(published.list.clone())).into_response()
}

/// A CA, its certificate's id, and a client.
async fn scene(server: &Server) -> (Minted, String, Minted) {
    let ca = root("Client CA").mint();
    let made = server.post(
        "/v1/organization/certificates",
        json!({ "certificate": ca.pem() }),
    );
    let id = made.ok().await["id"].as_str().unwrap().to_owned();
    let client = ca.leaf("billing").mint();
    (ca, id, client)
}

fn numbered(ca: &Minted, number: u8) -> CrlTemplate {
    let start = i64::try_from(START).unwrap();
    ca.crl()
        .number(Some(&[number]))
        .current(start - 1000, Some(start + 1_000_000))
}

fn fetcher(private_addresses: bool) -> CrlFetcher {
    let options = WebhookOptions {
        private_addresses,
        ca_file: None,
    };
    CrlFetcher::new(&options).unwrap()
}

/// Fetches until the list at a path is as wanted.
async fn fetch_until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let (end, ended) = oneshot::channel::<()>();
    let fetching = CrlFetching::new(server.store.clone(), server.sources(), fetcher(true));
    let running = tokio::spawn(fetching.run(async { drop(ended.await) }));
    let last = Mutex::new(Value::Null);
    let looking = async {
        loop {
            let found = server.get(path).ok().await;
            if wanted(&found) {
                return found;
            }
            *last.lock().unwrap() = found;
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), looking).await;
    drop(end);
    running.await.unwrap();
    found.unwrap_or_else(|_| panic!("not as wanted: {}", last.lock().unwrap()))
}

#[tokio::test]
async fn a_list_is_fetched_again_and_what_cannot_be_used_leaves_the_kept_one() {
    on_each_store(async |server| {
        server.app.fetch_crls_with(fetcher(true));
        let (shared, origin) = publish().await;
        let set = |change: &dyn Fn(&mut Published)| change(&mut shared.lock().unwrap());
        let (ca, certificate, client) = scene(server).await;
        set(&|it| it.list = numbered(&ca, 1).mint());
        let crls = format!("/v1/organization/certificates/{certificate}/crls");
        let body = json!({ "url": format!("{origin}/away"), "interval": 300 });
        let made = server.post(&crls, body).ok().await;
        assert_eq!(
            (&made["number"], &made["interval"]),
            (&json!("1"), &json!(300))
        );
        assert_eq!(made["fetched_at"], json!(START));
        let one = format!("{crls}/{}", made["id"].as_str().unwrap());

        // As it was: asked with what the answer before said.
        server.clock.advance(301);
        let again = |at: u64| move |found: &Value| found["fetched_at"] == json!(at);
        fetch_until(server, &one, again(START + 301)).await;
        set(&|it| assert!(it.asked.last().unwrap().contains_key(header::IF_NONE_MATCH)));

        set(&|it| it.list = numbered(&ca, 2).revoke(&client).mint());
        server.clock.advance(300);
        let next = fetch_until(server, &one, |found| found["number"] == "2").await;
        assert_eq!(
            (&next["entries"], &next["updated_by"]),
            (&json!(1), &json!("key_operator"))
        );

        let other = root("Client CA").mint();
        for (list, status, wrong) in [
            (numbered(&ca, 1).mint(), None, "has the number 1"),
            (numbered(&other, 3).mint(), None, "another CA"),
            (b"<html>".to_vec(), None, "neither PEM nor DER"),
            (
                Vec::new(),
                Some(StatusCode::NOT_FOUND),
                "has the status 404",
            ),
        ] {
            set(&|it| (it.list, it.status) = (list.clone(), status));
            server.clock.advance(300);
            let said = |found: &Value| {
                let error = found["last_error"].as_str();
                error.is_some_and(|error| error.contains(wrong))
            };
            let kept = fetch_until(server, &one, said).await;
            assert_eq!(kept["number"], "2", "{wrong}");
        }
        set(&|it| (it.list, it.status) = (numbered(&ca, 4).mint(), None));
        server.clock.advance(300);
        let mended = fetch_until(server, &one, |found| found["number"] == "4").await;
        assert_eq!(mended.get("last_error"), None);
    })
    .await;
}

#[tokio::test]
async fn what_may_not_be_fetched_is_said_and_nothing_is_kept() {
    on_each_store(async |server| {
        let (shared, origin) = publish().await;
        let (ca, certificate, _) = scene(server).await;
        shared.lock().unwrap().list = numbered(&ca, 1).mint();
        let crls = format!("/v1/organization/certificates/{certificate}/crls");
        let refused = async |body: Value, param: &'static str, wrong: &str| {
            let message = server
                .post(&crls, body)
                .refused("invalid_value", Some(param))
                .await;
            assert!(message.contains(wrong), "{wrong}: {message}");
        };
        let at = |url: &str| json!({ "url": url });
        refused(
            at("http://example.com/"),
            "url",
            "fetches no revocation lists",
        )
        .await;
        server.app.fetch_crls_with(fetcher(false));
        for (url, wrong) in [
            ("ftp://example.com/list", "scheme"),
            ("http://127.0.0.1/list", "not a public one"),
            ("http://user@example.com/list", "user or a password"),
            ("not a url", "not a URL"),
        ] {
            refused(at(url), "url", wrong).await;
        }
        refused(
            at("http://localhost:1/list"),
            "url",
            "no address that this server may connect to",
        )
        .await;
        let both = json!({ "url": "http://example.com/", "crl": numbered(&ca, 1).pem() });
        refused(both, "url", "either").await;
        let often = json!({ "url": "http://example.com/", "interval": 10 });
        refused(often, "interval", "300").await;
        let alone = json!({ "crl": numbered(&ca, 1).pem(), "interval": 300 });
        refused(alone, "interval", "Leave it out").await;
        assert_eq!(server.get(&crls).ok().await["data"], json!([]));
        drop(origin);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_leads_nowhere_else() {
    let (_, origin) = publish().await;
    on_each_store(async |server| {
        server.app.fetch_crls_with(fetcher(true));
        let (_, certificate, _) = scene(server).await;
        let crls = format!("/v1/organization/certificates/{certificate}/crls");
        let url = json!({ "url": format!("{origin}/for-ever") });
        let message = server
            .post(&crls, url)
            .refused("invalid_value", Some("url"))
            .await;
        assert!(message.contains("redirects more than"), "{message}");
    })
    .await;
}
