//! What can be wrong with a route.

use countersign_proxy::TargetError;

/// Why a route cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Tls(#[from] countersign_tls::Error),
    #[error("{0}")]
    Setting(String),
}
