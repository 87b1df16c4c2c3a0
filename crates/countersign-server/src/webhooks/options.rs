//! What the operator sets for webhooks.

use std::path::PathBuf;

/// What the operator sets for webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookOptions {
    /// Whether they may go to addresses that are not public, and without TLS.
    pub private_addresses: bool,
    /// A PEM file of roots to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
}
