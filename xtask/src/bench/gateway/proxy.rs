//! A running server that is measured, and the names of all of them.

use crate::bench::{
    gateway::{measures::GET, traffic::Target},
    server::Server,
};

pub(crate) const COUNTERSIGN: &str = "Countersign";
/// The same with observations switched off: the difference is their cost.
pub(crate) const UNOBSERVED: &str = "Countersign, not observing";
/// An earlier build of Countersign, given with `--before`.
pub(crate) const BEFORE: &str = "Before";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const HAPROXY: &str = "HAProxy";
/// Another build of it, given with `--haproxy`.
pub(crate) const HAPROXY_GIVEN: &str = "HAProxy given";
pub(crate) const ENVOY: &str = "Envoy";

/// A running server.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    pub(crate) target: Target,
}

impl Proxy {
    /// Whether it takes part in a measure: the cost of observations is measured in only one.
    pub(crate) fn takes(&self, measure: &str) -> bool {
        self.name != UNOBSERVED || measure == GET
    }
}
