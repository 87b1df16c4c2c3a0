//! The door: an mTLS gateway that lets a request through only with a valid key **and** a client
//! certificate that verifies against the anchors active for that key's project
//! (docs/specification.md, section 3).
//!
//! One request goes `accept` → `serve` (`identify` → `live` → `judge` → `forward`); what does not
//! pass ends in `refusal`. `sync` keeps what is enforced true to the control plane.

mod accept;
mod admin;
mod body;
mod connection;
mod forward;
mod headers;
mod identify;
mod live;
mod observations;
pub mod options;
mod proxy_protocol;
mod record;
mod refusal;
mod reported;
mod routes;
mod run;
mod serve;
mod shared;
mod sync;
mod tally;
mod tls;
mod upstream;

pub use admin::Metrics;
pub use run::{Gateway, StartError};
pub use shared::Clock;
