//! What is kept of a request for its span, where that is recorded.

use countersign_proxy::host_of;
use http::{Request, Version};

use crate::trace_context::Recorded;

/// What is kept of a request for its span, until it ends.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    pub(crate) recorded: Recorded,
    pub(crate) host: Option<String>,
    /// None for a decision: the version that the client speaks with the proxy is not known.
    pub(crate) version: Option<Version>,
    /// Which route served it, by the path that it has in the configuration.
    pub(crate) route: Option<String>,
}

impl RequestSpan {
    pub(crate) fn begin<B>(recorded: Recorded, request: &Request<B>) -> Box<Self> {
        Box::new(Self {
            recorded,
            host: host_of(request).map(str::to_owned),
            version: Some(request.version()),
            route: None,
        })
    }

    /// That of a request that another proxy has, and asks about.
    pub(crate) fn of_decision(recorded: Recorded) -> Box<Self> {
        Box::new(Self {
            recorded,
            host: None,
            version: None,
            route: None,
        })
    }

    pub(crate) fn set_route(&mut self, path: &str) {
        self.route = Some(path.to_owned());
    }
}
