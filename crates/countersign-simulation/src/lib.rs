//! The control plane's store, gateways, their disks, clocks and network as one deterministic program: a
//! seed is a run, and the same run each time.
//!
//! What decides is the real code: the store and its history on SQLite, the requests that it holds open,
//! what a gateway does to follow it, the file that a gateway starts from, and how requests are judged.
//! Only time, network, crashes and chance are made up. While it goes on, everything is held against what
//! the database held when ([`run`]).
//!
//! A run has troubled times, in which things go wrong, and quiet ones, after which everything must agree. A
//! planted [`Fault`] shows that it would be found.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a machine that gives no file or runtime stops the simulation"
)]

mod agenda;
mod chance;
mod clients;
mod database;
mod edge;
mod fault;
mod images;
mod plane;
mod run;
mod shares;
mod state_edits;
mod steps;
mod truth;
mod world;

pub use fault::Fault;
pub use run::{Outcome, run};
