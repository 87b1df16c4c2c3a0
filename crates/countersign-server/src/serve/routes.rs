//! What a listener serves.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use countersign_proxy::RefuseHead;
use http::{Response, StatusCode};

/// A service, and what is answered to requests that never reach it because their heads cannot be
/// read.
#[derive(Clone)]
pub struct Routes {
    pub(super) router: Router,
    pub(super) unreadable: Unreadable,
}

/// Answers requests whose heads cannot be read.
#[derive(Clone)]
pub(super) struct Unreadable(Arc<dyn RefuseHead + Send + Sync>);

impl Routes {
    pub(crate) fn new(router: Router, unreadable: impl RefuseHead + Send + Sync + 'static) -> Self {
        Self {
            router,
            unreadable: Unreadable(Arc::new(unreadable)),
        }
    }

    /// The service by itself.
    pub fn into_router(self) -> Router {
        self.router
    }
}

/// Marks a request that has a `content-length` beside a `transfer-encoding`, of which hyper shows
/// one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BothLengths;

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

/// Any service: what cannot be read is refused without a word.
impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self::new(router, StatusOnly)
    }
}

struct StatusOnly;

impl RefuseHead for StatusOnly {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response
    }
}

impl RefuseHead for Unreadable {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        self.0.refuse(status)
    }
}
