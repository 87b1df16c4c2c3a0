//! Staying in line with the control plane: what is in force, on disk and reported.
//!
//! [`Machine`](machine::Machine) decides and does no I/O. `pull` drives it with a network, a disk, a
//! clock and threads; the simulation does so with made-up ones.

mod backoff;
mod comparison;
mod disk;
mod durability;
pub mod machine;
pub mod messages;
pub(crate) mod pull;
pub(crate) mod state_file;
#[cfg(test)]
mod tests;
