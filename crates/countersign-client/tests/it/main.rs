//! The client against a peer that speaks exactly what a test scripts, over real sockets.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

mod config;
mod errors;
mod extensions;
mod operations;
mod pages;
mod peer;
mod retries;
mod tls;
