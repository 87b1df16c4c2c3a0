//! What an exchange is served with, and how it is refused.

use std::time::Duration;

use countersign_types::token::TokenError;

use crate::{connection::Connection, shared::Shared};

/// How long a client waits for this gateway to know what the control plane knows.
pub(super) const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// What the workload is told, and what the operator is.
pub(super) type Refused = (TokenError, String);

/// What an exchange is served with.
pub(crate) struct Serving<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) connection: &'a Connection,
    /// The thread that serves it.
    pub(crate) thread: usize,
}
