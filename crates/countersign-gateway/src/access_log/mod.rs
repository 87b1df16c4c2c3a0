//! The access log: one JSON line for each request.

pub(crate) mod file;
pub(crate) mod record;
