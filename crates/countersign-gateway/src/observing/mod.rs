//! Observing: who called with which certificates, counted and sent to the control plane.

mod delivery;
mod live_report;
pub(crate) mod new_chains;
pub(crate) mod observations;
mod pending;
mod refusals;
mod refused_by;
pub(crate) mod tally;
