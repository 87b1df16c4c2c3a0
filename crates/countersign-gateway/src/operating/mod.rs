//! Operating a gateway: start and stop, its threads, the admin listener.

pub(crate) mod admin;
mod background;
mod configured;
mod data_dir;
pub(crate) mod driven;
pub(crate) mod gateway;
pub(crate) mod health;
pub(crate) mod operator;
mod start_error;
mod worker;
