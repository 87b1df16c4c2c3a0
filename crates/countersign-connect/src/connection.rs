//! What a tool's connection and the requests on it share.

use std::sync::Arc;

use countersign_proxy::ClientState;

use crate::{admission::Admission, api_key::ApiKey, local_ca::Clock, server::Server};

/// What the requests of connections are carried with: where to, and who may send them.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) server: Arc<Server>,
    pub(crate) admission: Admission,
    /// What `authorization` is replaced by, if it is.
    pub(crate) key: Option<ApiKey>,
    /// Tells the time.
    pub(crate) clock: Clock,
}

/// A tool's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) way: Arc<Way>,
    pub(crate) client: Arc<ClientState>,
}

impl Connection {
    pub(crate) fn new(way: &Arc<Way>) -> Arc<Self> {
        Arc::new(Self {
            way: Arc::clone(way),
            client: Arc::default(),
        })
    }
}
