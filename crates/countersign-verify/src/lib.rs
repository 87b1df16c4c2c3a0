//! Judgement: reads certificates, compiles policies, judges chains. A pure function: no clock, no
//! random numbers, no file, no network, and no panic on any input.

#![deny(missing_docs)]

pub mod audit_chain;
mod budget;
pub mod certificate;
pub mod denial;
mod der;
pub mod judge;
mod path;
pub mod permit;
pub mod policy;
pub mod presented;
mod rules;
pub mod trust;
mod walk;
mod x509;
