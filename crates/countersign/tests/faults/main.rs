//! What goes wrong under a server that is at work: kills, full and read-only disks, a database
//! that restarts. Real processes on real databases. What was acknowledged is never lost, nothing
//! is ever half done, the audit log tells exactly what happened, and it ends without a restart.
//! And who tampers with that log is found.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what is not as it should be fails the test"
)]

mod disk;
mod kill;
mod ledger;
mod node;
mod postgres;
mod receiver;
mod tamper;
mod two_nodes;
mod webhooks;
mod writers;
