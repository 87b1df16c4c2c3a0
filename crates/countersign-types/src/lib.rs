//! Every type that crosses a wire, shared by the control plane, the gateway and the client. Plain
//! data with serde: no I/O, no clock, no HTTP framework.

#![deny(missing_docs)]

pub mod api_key;
pub mod audit;
pub mod bearer;
pub mod bundle;
pub mod certificate;
pub mod digest;
pub mod error;
pub mod expiry;
pub mod extension;
pub mod history;
pub mod id;
mod not_null;
pub mod observation;
pub mod organization;
pub mod page;
pub mod preview;
pub mod project;
pub mod refusal;
pub mod request_ids;
pub mod rotation;
pub mod secret;
pub mod usage;
pub mod webhook;
pub mod workload;

/// Seconds since 1970-01-01T00:00:00Z. The API has no negative times.
pub type UnixSeconds = u64;
