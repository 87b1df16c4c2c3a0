//! Judgement: reads certificates, compiles policies, judges chains. A pure function: no clock, no
//! random numbers, no file, no network, and no panic on any input.

#![deny(missing_docs)]

pub mod audit_chain;
mod budget;
pub mod certificate;
pub mod crl;
pub mod denial;
mod denied_by;
mod der;
pub mod judge;
mod key;
mod name;
mod oid;
mod path;
mod path_building;
pub mod permit;
pub mod policy;
pub mod presented;
pub mod receipt;
pub mod refusal;
mod revocation;
mod revoked_by;
mod rules;
mod signatures;
mod time;
pub mod trust;
pub mod unchanged;
mod x509;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
