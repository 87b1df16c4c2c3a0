//! Cases of our own, one defect each: what `judge` answers, with the code and the whole trace.

#![expect(
    clippy::cast_possible_wrap,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

mod budget;
mod chain;
mod denied;
mod direct;
mod explained;
mod leaf;
mod permit;
mod pkits_revocation;
mod policy;
mod reported;
mod revoked;
mod scene;
mod scope;
