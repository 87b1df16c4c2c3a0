//! The gateway, end to end: a real control plane, a real gateway, real TLS and a real upstream, all in
//! this process and all over sockets.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what goes wrong during set-up should stop the test"
)]

mod attacks;
mod changed_keys;
mod changes;
mod client;
mod codes;
mod connections;
mod decisions;
mod denied;
mod denied_at_scale;
mod early_ends;
mod failover;
mod floods;
mod forwarding;
mod going_away;
mod http2_streams;
mod http2_upstream;
mod kills;
mod metrics;
mod model;
mod observations;
mod passed;
mod paths;
mod plane_proxy;
mod previewed;
mod previewed_denials;
mod process;
mod propagation;
mod raw_upstream;
mod receipts;
mod refused_by;
mod reload;
mod reported;
mod restart;
mod restored;
mod reused;
mod revoked;
mod several_servers;
mod silence;
mod slow_peers;
mod streams_cut;
mod tap;
mod telemetry;
mod token_previews;
mod token_strangers;
mod tokens;
mod trailers;
mod troubles;
mod upstream;
mod upstream_identity;
mod world;
