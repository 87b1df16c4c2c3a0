//! Judgement: reads certificates, compiles policies, judges chains. A pure function: no clock, no
//! random numbers, no file, no network, and no panic on any input.

#![deny(missing_docs)]

pub mod certificate;
pub mod policy;
