//! What happens in a run, one file for each side of it.

mod changing;
mod checking;
mod driving;
mod network;
mod restarting;
mod serving;
mod shares;
mod traffic;
mod troubles;
