//! Accepting connections: TCP, the PROXY protocol, TLS.

pub(crate) mod listener;
mod proxy_protocol;
pub(crate) mod tls;
