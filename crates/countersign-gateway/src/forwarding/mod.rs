//! Forwarding: from a request that may pass to the upstream's response.

pub(crate) mod forward;
mod forwarded;
pub(crate) mod routes;
mod xfcc;
