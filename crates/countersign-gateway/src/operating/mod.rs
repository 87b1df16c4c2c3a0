//! Operating a gateway: start and stop, its threads, the operator's listener.

pub(crate) mod admin;
mod background;
mod data_dir;
pub(crate) mod gateway;
mod start_error;
mod worker;
