//! How connections are made, so that a client can be given new ones.

use std::time::Duration;

use http::HeaderMap;
use reqwest::redirect;
use rustls::ClientConfig;

use crate::Error;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// When a connection that says nothing is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// How long after the last HTTP/2 frame it is asked whether it is there, and how long it may
    /// take to say so.
    pub(crate) ping: Duration,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`).
    pub(crate) unacknowledged: Duration,
}

/// How a client's connections are made.
pub(crate) struct Connections {
    pub(crate) tls: ClientConfig,
    pub(crate) headers: HeaderMap,
    pub(crate) silence: Option<Silence>,
}

impl Connections {
    /// An HTTP client that has no connection yet.
    pub(crate) fn open(&self) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .default_headers(self.headers.clone())
            .user_agent(USER_AGENT)
            // A redirect would carry the key and the client certificate to whoever it names.
            .redirect(redirect::Policy::none())
            // Retries are counted in one place: `Client::send`.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT);
        if let Some(silence) = self.silence {
            builder = builder
                .connect_timeout(silence.unacknowledged)
                .http2_keep_alive_interval(silence.ping)
                .http2_keep_alive_timeout(silence.ping)
                .http2_keep_alive_while_idle(true);
            #[cfg(target_os = "linux")]
            {
                builder = builder.tcp_user_timeout(silence.unacknowledged);
            }
        }
        builder
            .build()
            .map_err(|error| Error::Config(format!("cannot make an HTTP client: {error}")))
    }
}
