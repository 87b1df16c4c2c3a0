//! A real server on a port of its own, over each store that there is, and requests to it whose
//! responses are all held against the documents.

mod document;
mod fixture;
mod request;
mod stores;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign_server::{
    App, AppOptions, Limits, router, serve,
    store::{Sources, Store},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub(crate) use document::reference;
pub(crate) use fixture::{Fixture, PROVIDERS, id, pem};
pub(crate) use request::Request;
pub(crate) use stores::on_each_store;

/// When the tests begin: 2026-09-21, in Unix seconds.
pub(crate) const START: u64 = 1_790_000_000;

/// A clock that stands still until a test moves it.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

fn sources() -> (Sources, Clock) {
    let clock = Clock(Arc::new(AtomicU64::new(START)));
    let reading = clock.clone();
    let sources = Sources {
        clock: Arc::new(move || reading.0.load(Ordering::SeqCst)),
        ..Sources::system()
    };
    (sources, clock)
}

/// A server with one organization, whose key has every permission.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) store: Store,
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) organization: String,
    pub(crate) key: String,
    pub(crate) client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Server {
    async fn start(store: Store, sources: &Sources, clock: Clock) -> Self {
        let app = App::new(store.clone(), sources).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let closing = app.clone();
        let shutdown = async move {
            let _ = stopped.await;
            closing.close();
        };
        let serving = serve(
            listener,
            router(app.clone()),
            None,
            Limits::default(),
            shutdown,
        );
        let running = tokio::spawn(serving);
        let made = store.create_organization("Acme").await.unwrap();
        Self {
            base,
            app,
            clock,
            organization: made.organization.id.to_string(),
            key: made.key.value.unwrap().reveal().to_owned(),
            store,
            client: client(),
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Its clock, and randomness.
    pub(crate) fn sources(&self) -> Sources {
        let reading = self.clock.clone();
        Sources {
            clock: Arc::new(move || reading.0.load(Ordering::SeqCst)),
            ..Sources::system()
        }
    }

    /// Another node on the same store, with other options. It ends with the test.
    pub(crate) async fn beside(&self, options: AppOptions) -> Self {
        let sources = self.sources();
        let app = App::with_options(self.store.clone(), &sources, options, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (routes, limits) = (router(app.clone()), Limits::default());
        let serving = serve(listener, routes, None, limits, std::future::pending());
        tokio::spawn(serving);
        Self {
            base,
            app,
            clock: self.clock.clone(),
            organization: self.organization.clone(),
            key: self.key.clone(),
            store: self.store.clone(),
            client: self.client.clone(),
            stop: None,
            running: None,
        }
    }

    /// What the server takes for the time.
    pub(crate) fn now(&self) -> u64 {
        self.clock.0.load(Ordering::SeqCst)
    }

    /// Shuts the server down cleanly, and waits for the end.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }

    /// Another organization of the deployment: its key, which has every permission.
    pub(crate) async fn other_organization(&self) -> String {
        let made = self.store.create_organization("Other").await.unwrap();
        made.key.value.unwrap().reveal().to_owned()
    }

    /// A gateway key that is limited to another organization.
    pub(crate) async fn gateway_key_of_another(&self) -> String {
        let other = self.store.create_organization("Other").await.unwrap();
        let only = [other.organization.id];
        let limited = self.store.create_gateway_key_for("theirs", Some(&only));
        limited.await.unwrap().value.reveal().to_owned()
    }

    pub(crate) async fn gateway_key(&self) -> String {
        let made = self.store.create_gateway_key("edge").await.unwrap();
        made.value.reveal().to_owned()
    }

    /// An admin key with these permissions.
    pub(crate) async fn key_with(&self, scopes: &[&str]) -> String {
        let body = serde_json::json!({ "name": "limited", "scopes": scopes });
        let made = self
            .post("/v1/organization/admin_api_keys", body)
            .ok()
            .await;
        made["value"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        Request::new(self, "GET", path)
    }

    pub(crate) fn post(&self, path: &str, body: serde_json::Value) -> Request {
        Request::new(self, "POST", path).json(&body)
    }

    pub(crate) fn delete(&self, path: &str) -> Request {
        Request::new(self, "DELETE", path)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self, method, path)
    }
}

/// A client that follows no redirect, since none may ever be sent.
fn client() -> reqwest::Client {
    // The first test of the process installs it; for the others it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}
