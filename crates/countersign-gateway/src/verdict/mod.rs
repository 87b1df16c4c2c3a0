//! The verdict: whether a certificate chain may pass, remembered for as long as it holds.

pub(crate) mod authorization;
pub(crate) mod chain;
pub(crate) mod outcome;
pub(crate) mod refused_chain;
mod remembered_chains;
pub(crate) mod report_only;
