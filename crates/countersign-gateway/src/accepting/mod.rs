//! Accepting connections: TCP, the PROXY protocol, TLS.

mod failures;
mod handshake;
pub(crate) mod listener;
mod proxy_protocol;
pub(crate) mod tls;
