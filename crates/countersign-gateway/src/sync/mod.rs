//! Keeping what is enforced in sync with the control plane.

pub(crate) mod pull;
pub(crate) mod stored;
