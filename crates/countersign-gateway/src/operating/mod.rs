//! Operating a gateway: start and stop, its threads, the admin listener.

pub(crate) mod admin;
mod background;
mod configured;
pub(crate) mod control;
mod data_dir;
mod described;
pub(crate) mod driven;
pub(crate) mod durations;
pub(crate) mod gateway;
pub(crate) mod health;
mod histogram;
pub(crate) mod sockets;
mod start_error;
pub(crate) mod upstreams;
mod worker;
