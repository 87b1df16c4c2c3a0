//! Every type that crosses a wire, shared by the control plane, the gateway and the client. Plain
//! data with serde: no I/O, no clock, no HTTP framework.
//!
//! Answers are read from any server of the API, so their types are lenient: an id may have any form
//! ([`id`]), what the API makes optional is an [`Option`] although Countersign always sends it, and
//! a value of a closed set may be one that is not known here ([`or_unknown`]). Requests and bundles
//! are read strictly.

#![deny(missing_docs)]

mod access_taken;
pub mod api_key;
pub mod assertion;
pub mod audit;
mod audit_position;
mod audit_project;
pub mod bearer;
pub mod bundle;
mod bundle_keys;
pub mod capability;
pub mod certificate;
pub mod compact_jws;
pub mod crl;
pub mod denial;
pub mod digest;
mod enforcement;
pub mod error;
pub mod expiry;
pub mod extension;
mod federation_event;
pub mod federation_rule;
pub mod federation_test;
pub mod floor;
pub mod history;
pub mod id;
pub mod known_sets;
pub mod live_streams;
mod not_null;
pub mod observation;
pub mod or_unknown;
pub mod organization;
mod organization_change;
pub mod page;
pub mod preview;
pub mod project;
pub mod receipt;
pub mod refusal;
pub mod refused_by;
pub mod request_ids;
pub mod revoked_set;
pub mod rotation;
pub mod secret;
pub mod token;
pub mod token_key;
pub mod usage;
pub mod webhook;
mod windows;
pub mod workload;
pub mod workload_identity_provider;

/// Seconds since 1970-01-01T00:00:00Z. The API has no negative times.
pub type UnixSeconds = u64;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
