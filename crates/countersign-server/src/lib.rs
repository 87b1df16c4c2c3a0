//! The control plane of Countersign: its database and its HTTP API.

mod crl_fetching;
mod expiry;
mod http;
pub mod metrics;
pub mod preview;
mod rotation;
mod serve;
pub mod store;
mod tokens;
mod webhooks;

pub use crl_fetching::{CrlFetcher, CrlFetching};
pub use expiry::watch_expiry;
pub use http::{
    App, AppOptions, EVENT_TYPES, Needs, Operation, Warning, document, operations, router,
};
pub use serve::{Limits, Routes, listener_tls, serve};
pub use store::GATEWAY_LIVE_SECONDS;
pub use tokens::watch_token_keys;
pub use webhooks::{WebhookOptions, Webhooks};
