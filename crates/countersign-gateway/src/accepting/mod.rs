//! Accepting connections: TCP, the PROXY protocol, TLS, HTTP.

mod failures;
mod handshake;
pub(crate) mod listener;
mod proxy_protocol;
mod seldom;
pub(crate) mod serving;
pub(crate) mod tls;
