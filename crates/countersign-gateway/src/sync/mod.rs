//! Staying in line with the control plane: what is in force, on disk and reported.
//!
//! [`Machine`](machine::Machine) decides and does no I/O. `follower` does what needs none either, and
//! `pull` drives both with a network, a disk, a clock and threads; the simulation does so with made-up
//! ones.

mod asking;
mod backoff;
mod comparison;
pub mod disk;
mod durability;
pub mod follower;
mod held;
pub mod machine;
pub mod messages;
mod pages;
pub(crate) mod pull;
mod revoked_sets;
pub(crate) mod state_file;
#[cfg(test)]
mod tests;
