//! Refusals: the response, the counters, the log line and what `countersign explain` shows later,
//! each made in one place and once.

mod counters;
mod explanations;
pub(crate) mod refusals;
pub(crate) mod refused;
