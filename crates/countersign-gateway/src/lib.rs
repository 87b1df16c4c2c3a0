//! The mTLS gateway: it forwards a request only with a valid key **and** a client certificate that
//! verifies against the anchors active for that key's project (docs/specification.md, section 3).
//!
//! One request goes `accepting` → `frontend` (`caller` → `live` → `admission` with the `verdict` →
//! `forwarding`, which hands it to `countersign-proxy`); what does not pass ends in `refusal`. `sync`
//! keeps what is enforced in sync with the control plane. `decisions` is the second way in: other proxies
//! ask there, and get the same verdict.

mod accepting;
mod access_log;
mod admission;
mod caller;
mod connection;
mod contact;
mod decisions;
mod finished_span;
mod forwarding;
mod frontend;
mod identity_headers;
mod json_line;
mod live;
mod log_fields;
mod observing;
mod operating;
pub mod options;
mod project_requests;
mod prometheus_text;
mod receipts;
#[cfg(test)]
mod recorded;
mod refusal;
mod request_span;
mod shared;
mod shares;
pub mod sync;
mod token_exchange;
mod trace_context;
mod unauthenticated;
mod under_way;
mod verdict;

pub use operating::{
    admin::Metrics,
    control::GatewayControl,
    driven::{
        DrivenConnection, DrivenGateway, DrivenOutcome, DrivenRefusal, DrivenRequest, DrivenShare,
        DrivenStream, OnDisk,
    },
    gateway::{Gateway, StartError},
    sockets::Sockets,
};
pub use shared::Clock;
