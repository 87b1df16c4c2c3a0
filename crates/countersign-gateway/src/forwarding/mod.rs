//! Forwarding: from a request that may pass to the upstream's response.

pub(crate) mod forward;
mod forwarded;
mod route_error;
pub(crate) mod routes;
mod upstream_tls;
mod xfcc;
