//! The ledger: the control plane of Countersign, its store and its HTTP API.

mod http;
pub mod metrics;
pub mod preview;
mod serve;
pub mod store;

pub use http::{App, Needs, Operation, document, operations, router};
pub use serve::{Limits, TlsError, TlsFiles, serve};
