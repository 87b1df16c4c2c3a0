//! The ledger: the control plane of Countersign, its store and its HTTP API.

pub mod store;
