//! Whoever collects: one request at a time, within a time limit, and again where that may help.

use std::time::Duration;

use countersign_tls::{add_roots, client_config, public_roots, standard};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use prost::Message;

use crate::settings::Destination;

/// How often a request is sent, and how long it rests in between: the second time twice as long.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whoever collects one signal.
#[derive(Debug)]
pub(crate) struct Collector {
    destination: Destination,
    client: reqwest::Client,
}

/// Why something was not taken. It names neither headers nor URL, which may hold secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("{0}")]
    Unreachable(String),
    #[error("the collector answered with status {0}")]
    Refused(StatusCode),
}

/// What all connections to collectors are made with.
pub(crate) fn client(ca: Option<&std::path::Path>) -> Result<reqwest::Client, String> {
    let mut roots = public_roots();
    if let Some(ca) = ca {
        add_roots(&mut roots, ca).map_err(|error| error.to_string())?;
    }
    let tls = client_config(standard(), roots, None).map_err(|error| error.to_string())?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        // It would carry the headers to whoever it names.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(|error| error.to_string())
}

impl Collector {
    pub(crate) const fn new(destination: Destination, client: reqwest::Client) -> Self {
        Self {
            destination,
            client,
        }
    }

    /// Hands something over, and tries again where the collector is only not ready.
    pub(crate) async fn send(&self, message: &impl Message) -> Result<(), NotTaken> {
        let body = message.encode_to_vec();
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.post(body.clone()).await {
                Err(error) if error.may_pass() => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        self.post(body).await
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), NotTaken> {
        let sent = self
            .client
            .post(&self.destination.url)
            .timeout(self.destination.timeout)
            .headers(self.destination.headers.clone())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            )
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(NotTaken::Refused(answer.status())),
            Err(error) => Err(NotTaken::Unreachable(reason(error))),
        }
    }
}

/// The innermost reason, which is what says something.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    format!("the collector cannot be reached: {inner}")
}

impl NotTaken {
    /// Whether the same may be taken later ("OTLP/HTTP Response" of the protocol's specification).
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}
