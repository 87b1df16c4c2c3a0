//! How long things take at a gateway.

use super::{
    histogram::{Histogram, Sums},
    upstreams::Upstreams,
};
use crate::prometheus_text::begin;

/// What is measured of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// What upstreams do.
    pub(crate) upstreams: Upstreams,
    /// Requests that were forwarded, from the head to the end of both bodies.
    pub(crate) requests: Histogram,
    /// Handshakes that were completed.
    pub(crate) handshakes: Histogram,
}

impl Durations {
    /// As Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, help, histogram) in [
            (
                "countersign_gateway_request_duration_seconds",
                "time of requests that were forwarded, from the head to the end of both bodies",
                &self.requests,
            ),
            (
                "countersign_gateway_handshake_duration_seconds",
                "time of TLS handshakes that were completed, from the connection on",
                &self.handshakes,
            ),
        ] {
            let mut sums = Sums::default();
            histogram.add_to(&mut sums);
            begin(name, help, "histogram", &mut text);
            sums.show(name, &[], &mut text);
        }
        self.upstreams.show(&mut text);
        text
    }
}
