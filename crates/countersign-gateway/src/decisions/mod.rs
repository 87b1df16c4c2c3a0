//! The decision service: another proxy has the client's connection and request, and asks here whether it
//! may pass. The verdict is the one of the gateway's own listener: the same [`admit`](crate::admission).
//!
//! Each protocol has one file: `auth_request`, `forward_auth`, `envoy_http` and `envoy_grpc`. They say what
//! the proxy passes on of its client's request, and how the decision is told.

mod accepting;
mod asker;
mod auth_request;
mod certificate;
#[cfg(test)]
mod conformance;
mod deciding;
pub(crate) mod door;
mod envoy_grpc;
mod envoy_http;
mod forward_auth;
mod http_answer;
mod known_chains;
pub(crate) mod listening;
mod serving;

pub(crate) use accepting::serve;
