//! Which requests go to which upstream, and how.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    reading::{one_or_more, some_seconds},
    receipts::{ReceiptPlace, places},
};

/// Requests that go to one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The host that the request must name; absent, any.
    #[serde(default)]
    pub host: Option<String>,
    /// What the path must start with, whole segments.
    #[serde(default = "root")]
    pub path: String,
    /// `http://HOST:PORT` or `https://HOST:PORT`, or a list of them that serve alike.
    #[serde(deserialize_with = "one_or_more")]
    pub upstream: Vec<String>,
    /// Speak HTTP/2 to it.
    #[serde(default)]
    pub http2: bool,
    /// Seconds that a connection to it may idle; absent, a second less than it announces,
    /// or 4.
    #[serde(default, deserialize_with = "some_seconds")]
    pub idle_timeout: Option<Duration>,
    /// A CA file that its certificate is verified against, instead of the public ones. Read again
    /// when it changes, like the next two.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A certificate chain in PEM that is presented to it, if it asks for one.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// The name that its certificate must carry, and that it is asked for; absent, its host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// What the upstream gets as `authorization` header.
    #[serde(default)]
    pub authorization: Authorization,
    /// Send the client's `Host`, not the upstream's own.
    #[serde(default)]
    pub preserve_host: bool,
    /// Seconds that nothing may move of a response that has begun, or in a tunnel; 0 for no limit.
    /// Absent, what `limits` says.
    #[serde(default, deserialize_with = "some_seconds")]
    pub stream_idle_timeout: Option<Duration>,
    /// Where a signed receipt of each verdict goes, or a list of places ([receipts.md](receipts.md)); absent,
    /// none is made.
    #[serde(default, deserialize_with = "places")]
    pub receipt: Vec<ReceiptPlace>,
    /// More headers to send.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
}

impl Route {
    /// Everything goes to these servers, with nothing else set.
    #[must_use]
    pub fn to(upstream: Vec<String>) -> Self {
        Self {
            host: None,
            path: root(),
            upstream,
            http2: false,
            idle_timeout: None,
            ca: None,
            client_certificate: None,
            client_key: None,
            server_name: None,
            authorization: Authorization::default(),
            preserve_host: false,
            stream_idle_timeout: None,
            receipt: Vec::new(),
            headers: std::collections::BTreeMap::new(),
        }
    }
}

fn root() -> String {
    "/".to_owned()
}

/// What the upstream gets as `authorization` header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// It is forwarded unchanged.
    #[default]
    Pass,
    /// It is removed.
    Drop,
    /// It is replaced by `Bearer` and what this file holds.
    ReplaceFromFile(PathBuf),
}
