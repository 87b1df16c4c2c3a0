//! The command line as its users meet it: real processes, real servers, what they print.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

mod assertion;
mod at_a_glance;
mod backup;
mod configuration;
mod connect;
mod crl;
mod declared;
mod denial;
mod dev;
mod doctor;
mod documents;
mod federation;
mod formats;
mod help;
mod inspect;
mod lifecycle;
mod looked_first;
mod messages;
mod mistakes;
mod names;
mod operator;
mod other_servers;
mod preview;
mod readme;
mod refused;
mod rotate;
mod running;
mod sdk_python;
mod serve;
mod shell;
mod verify;
mod waiting;
