//! What each metric of a gateway says, for whoever reads `/metrics`. docs/alerts.md says what to do about
//! them.

use countersign_verify::certificate::leaf_validity;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::options::GatewayOptions;

const COUNTERS: &[(&str, &str)] = &[
    (
        "countersign_gateway_verdicts_total",
        "verdicts on requests, by code",
    ),
    (
        "countersign_gateway_report_verdicts_total",
        "verdicts as they would be if what is only reported were enforced, by code",
    ),
    (
        "countersign_gateway_streams_cut_total",
        "requests under way that a change of trust ended, by code",
    ),
    (
        "countersign_gateway_handshakes_total",
        "TLS handshakes, by result",
    ),
    (
        "countersign_gateway_handshake_failures_total",
        "TLS handshakes that failed, by reason",
    ),
    (
        "countersign_gateway_oversized_chains_total",
        "handshakes that were refused because the client's chain is too large",
    ),
    (
        "countersign_gateway_floods_total",
        "HTTP/2 connections that were closed as floods, by kind",
    ),
    (
        "countersign_gateway_unauthenticated_connections_ended_total",
        "connections without a request that passed, ended to make room",
    ),
    (
        "countersign_gateway_organization_limited_total",
        "times that an organization had used up its share, by what of",
    ),
    (
        "countersign_gateway_observations_dropped_total",
        "requests that are not observed, for want of room",
    ),
    (
        "countersign_gateway_reconciled_organizations_total",
        "organizations that were not enforced as the control plane says, found by digest",
    ),
    (
        "countersign_gateway_decision_faults_total",
        "requests of other proxies for a decision that could not be judged, by door and reason",
    ),
    (
        "countersign_gateway_without_revocation_list_total",
        "chains that were let pass though there was no current revocation list of an issuer, each when it was judged",
    ),
    (
        "countersign_gateway_receipts_total",
        "verdicts of which a receipt was to be given, by whether it was",
    ),
    (
        "countersign_gateway_upstream_connections_total",
        "connections to upstreams that were opened, by route",
    ),
    (
        "countersign_gateway_upstream_connect_failures_total",
        "attempts to connect to upstreams that failed, by route",
    ),
    (
        "countersign_gateway_upstream_ejections_total",
        "addresses of upstreams that were left out for a while, by route",
    ),
    (
        "countersign_gateway_upstream_repeats_total",
        "requests that were sent to upstreams once more, by route",
    ),
    (
        "countersign_gateway_access_log_lines_lost_total",
        "lines of the access log that found no room",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    (
        "countersign_gateway_access_log_lines_waiting",
        "lines of the access log that could not be written yet",
    ),
    (
        "countersign_gateway_connections",
        "connections of clients that are open",
    ),
    (
        "countersign_gateway_connections_limit",
        "connections of clients that there is room for: `limits.connections`",
    ),
    (
        "countersign_gateway_disk_available_bytes",
        "bytes that are free on the disk of `data_dir`",
    ),
    (
        "countersign_gateway_revision",
        "revision of the control plane that is enforced",
    ),
    (
        "countersign_gateway_bundle_age_seconds",
        "time since the control plane last said what to enforce",
    ),
    (
        "countersign_gateway_contact_lost",
        "1 while the control plane does not answer",
    ),
    (
        "countersign_gateway_durable",
        "0 while what is enforced would not survive a restart",
    ),
    (
        "countersign_gateway_last_reload_successful",
        "0 when the latest reload was not, and the old configuration stays in use",
    ),
    (
        "countersign_gateway_warning",
        "1 while something is wrong that `/readyz` says in words, by its name",
    ),
    (
        "countersign_gateway_live_streams",
        "requests under way, by serving thread",
    ),
    (
        SERVER_CERTIFICATE,
        "when the gateway's own certificate expires, in Unix seconds",
    ),
    (BUILD, "1, with the version of the program"),
];

const SERVER_CERTIFICATE: &str = "countersign_gateway_server_certificate_not_after_seconds";
const BUILD: &str = "countersign_gateway_build_info";

/// Describes every metric.
pub(super) fn describe(options: &GatewayOptions) {
    for &(name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for &(name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    // A counter that begins with its first event shows no increase.
    for alerting in [
        "countersign_gateway_reconciled_organizations_total",
        "countersign_gateway_observations_dropped_total",
    ] {
        counter!(alerting).increment(0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("countersign_gateway_connections_limit").set(options.limits.connections as f64);
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Shows when the certificate expires that clients are shown.
pub(super) fn show_server_certificate(options: &GatewayOptions) {
    let certificate = CertificateDer::from_pem_file(&options.certificate).ok();
    let validity = certificate.and_then(|certificate| leaf_validity(&certificate));
    if let Some((_, not_after)) = validity {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!(SERVER_CERTIFICATE).set(not_after as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn names_in(directory: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names_in(&path, names);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let found = text.split('"').filter(|word| {
                let rest = word.strip_prefix("countersign_gateway_");
                rest.is_some_and(|rest| !rest.is_empty() && is_name(rest))
            });
            names.extend(found.map(str::to_owned));
        }
    }

    #[test]
    fn every_metric_is_described() {
        let mut names = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        names_in(&sources, &mut names);
        // Those that describe themselves.
        let themselves = [
            "_duration_seconds",
            "_upstream_errors_total",
            "_project_requests_total",
        ];
        names.retain(|name| !themselves.iter().any(|end| name.ends_with(end)));
        let described = COUNTERS.iter().chain(GAUGES);
        let described: BTreeSet<String> = described.map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, described);
    }
}
