//! The client itself: one server, one key.

use std::{fmt, sync::Arc, time::Duration};

use countersign_types::secret::Secret;
use reqwest::Url;
use tokio::sync::Notify;

use crate::{Error, connections::Connections};

/// A client of one server, with one key. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) http: reqwest::Client,
    pub(crate) patience: Option<Duration>,
    pub(crate) arrivals: Option<Arc<Notify>>,
    pub(crate) breaks_assertions: bool,
}

pub(crate) struct Inner {
    pub(crate) connections: Connections,
    pub(crate) base_url: Url,
    pub(crate) key: Secret,
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
}

impl Client {
    /// The same client with new connections, for when the old ones have failed.
    ///
    /// # Errors
    /// [`Error::Config`] when the HTTP library cannot be set up again.
    pub fn reconnected(&self) -> Result<Self, Error> {
        Ok(Self {
            http: self.inner.connections.open()?,
            ..self.clone()
        })
    }

    /// The same client with another kind of timeout: an answer must begin within `patience`, and no
    /// pause within it may be longer, but the whole may take longer. The usual timeout does not
    /// apply.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self.clone()
        }
    }

    /// The same client, which notifies whenever a part of an answer arrives: whoever waits can tell an
    /// answer that takes long from none.
    #[must_use]
    pub fn with_arrivals(&self, arrivals: Arc<Notify>) -> Self {
        Self {
            arrivals: Some(arrivals),
            ..self.clone()
        }
    }

    /// The same client, whose changes are made although they break assertions (an extension). Every
    /// write of it says so to the server; its audit log then names the assertions.
    #[must_use]
    pub fn allowing_broken_assertions(&self) -> Self {
        Self {
            breaks_assertions: true,
            ..self.clone()
        }
    }

    /// Whether a key that is shown in part, as lists show keys, can be the one that this client calls
    /// with.
    #[must_use]
    pub fn may_use_key_shown_as(&self, redacted: &str) -> bool {
        let hidden = |c: char| matches!(c, '*' | '.' | '…');
        let (Some(head), Some(tail)) = (
            redacted.split(hidden).next(),
            redacted.rsplit(hidden).next(),
        ) else {
            return false;
        };
        let key = self.inner.key.reveal();
        tail.len() >= 4 && tail != redacted && key.starts_with(head) && key.ends_with(tail)
    }

    /// The base URL that requests go to.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.inner.base_url.as_str()
    }
}

impl fmt::Debug for Client {
    /// Where it calls, never with which key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_the_ends_that_are_shown() {
        let client = Client::builder().key(Secret::new("sk-admin-abcdefgh1234"));
        let client = client.base_url("http://127.0.0.1:9/v1").build().unwrap();
        for (shown, own) in [
            ("sk-admin-***1234", true),
            ("sk-admin...1234", true),
            ("sk-admin-***1235", false),
            ("sk-other-***1234", false),
            ("sk-admin-***34", false),
            ("sk-admin-abcdefgh1234", false),
            ("", false),
        ] {
            assert_eq!(client.may_use_key_shown_as(shown), own, "{shown}");
        }
    }
}
