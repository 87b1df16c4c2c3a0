//! Metrics for Prometheus: the recorder, and the router that is served on a separate listener.

use std::{fmt::Write as _, path::Path, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use countersign_types::error::ErrorCode;
use countersign_verify::certificate::leaf_validity;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;

pub use metrics_exporter_prometheus::PrometheusHandle;

use crate::store::{ActiveAnchor, ExpiringCount, GatewayCounts, Room, Store, StoreError};

pub(crate) const REQUESTS: &str = "countersign_http_requests_total";
pub(crate) const SECONDS: &str = "countersign_http_request_duration_seconds";
pub(crate) const IN_FLIGHT: &str = "countersign_http_requests_in_flight";
pub(crate) const STORE_ERRORS: &str = "countersign_store_errors_total";
pub(crate) const OBSERVED_REQUESTS: &str = "countersign_observed_requests_total";
pub(crate) const OBSERVATIONS_REFUSED: &str = "countersign_observations_refused_total";
pub(crate) const WEBHOOK_ATTEMPTS: &str = "countersign_webhook_attempts_total";
pub(crate) const CRL_FETCHES: &str = "countersign_crl_fetches_total";
pub(crate) const WARNING: &str = "countersign_warning";
const NOT_AFTER: &str = "countersign_certificate_not_after_seconds";
const NEXT_UPDATE: &str = "countersign_certificate_crl_next_update_seconds";
const EXPIRING: &str = "countersign_expiring";
const REVISION: &str = "countersign_revision";
const LOG_LINES_LOST: &str = "countersign_log_lines_lost_total";
const BUILD: &str = "countersign_build_info";
const GATEWAYS: &str = "countersign_gateways";
const DATABASE_UP: &str = "countersign_database_up";
const DATABASE_WRITABLE: &str = "countersign_database_writable";
const DATABASE_BYTES: &str = "countersign_database_size_bytes";
const DISK_AVAILABLE: &str = "countersign_disk_available_bytes";
pub(crate) const CONNECTIONS: &str = "countersign_http_connections";
const OWN_NOT_AFTER: &str = "countersign_server_certificate_not_after_seconds";

/// The code of what could not be read for the metrics themselves.
const SCRAPE: &str = "scrape";

/// How long the database may take for a scrape: less than Prometheus waits, so that a database that is
/// silent is shown as such and not as a process that is down.
const PATIENCE: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of request durations, in seconds.
const BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// Installs the recorder of this process. Do it once, before [`App::new`](crate::App::new).
///
/// # Errors
/// When the process already has a recorder.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS, "requests answered, by route, method and status");
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "time to answer a request, by route and method"
    );
    describe_gauge!(IN_FLIGHT, "requests being answered");
    describe_gauge!(CONNECTIONS, "connections that are open, on all listeners");
    describe_gauge!(
        OWN_NOT_AFTER,
        "when the certificate of the control plane's listener expires, in Unix seconds"
    );
    describe_gauge!(
        WARNING,
        "1 while something is wrong that `/readyz` names, by its name"
    );
    describe_counter!(
        WEBHOOK_ATTEMPTS,
        "attempts to deliver a webhook, by the status of the delivery afterwards"
    );
    describe_counter!(
        STORE_ERRORS,
        "requests that failed because of the database, by code"
    );
    // A counter that begins with its first event shows no increase.
    for code in [ErrorCode::StorageUnavailable.as_str(), SCRAPE] {
        metrics::counter!(STORE_ERRORS, "code" => code).increment(0);
    }
    describe_counter!(
        OBSERVED_REQUESTS,
        "requests that gateways observed and the database keeps"
    );
    describe_counter!(
        CRL_FETCHES,
        "fetches of revocation lists from their URLs, by outcome"
    );
    describe_counter!(LOG_LINES_LOST, "lines of the log that nobody read in time");
    describe_gauge!(BUILD, "1, with the version of the program");
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_counter!(
        OBSERVATIONS_REFUSED,
        "observations by gateways that were refused, by reason"
    );
}

/// The most anchors that are shown, those that expire first: a bound on the size of a scrape.
const MAX_ANCHORS: u32 = 10_000;

/// `/metrics`, for a separate listener: metrics are for the operator of the server, never for its
/// callers.
pub fn router(handle: PrometheusHandle, store: Store, gateways: GatewayAges) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state((handle, store, gateways))
}

/// Which gateways are counted, in seconds since they last asked for bundles.
#[derive(Debug, Clone, Copy)]
pub struct GatewayAges {
    /// Later, they are forgotten.
    pub kept_for: u64,
    /// Later, they are missing.
    pub live_for: u64,
}

async fn scrape(
    State((handle, store, ages)): State<(PrometheusHandle, Store, GatewayAges)>,
) -> Response {
    let text = text(&handle, &store, ages).await;
    let media_type = (
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    );
    (StatusCode::OK, [media_type], text).into_response()
}

/// The recorder's metrics, then those that are read from the database. The latter are not kept in
/// the recorder, where a deleted anchor would stay.
pub async fn text(handle: &PrometheusHandle, store: &Store, ages: GatewayAges) -> String {
    handle.run_upkeep();
    let mut text = handle.render();
    let reading = async {
        let writable = store.check_writes().await;
        (writable.is_ok(), stored(store, ages).await)
    };
    // At once: together they may take no longer than one of them.
    let (read, room) = tokio::join!(timeout(PATIENCE, reading), timeout(PATIENCE, store.room()));
    let (writable, stored) = read.unwrap_or_else(|_| {
        let silent = format!("the database has not answered within {PATIENCE:?}");
        (false, Err(StoreError::Internal(silent)))
    });
    show_database(&mut text, stored.is_ok(), writable);
    if let Ok(Ok(room)) = room {
        show_room(&mut text, &room);
    }
    match stored {
        Ok(stored) => {
            show(&mut text, stored.revision, &stored.anchors);
            show_lists(&mut text, &stored.anchors);
            show_expiring(&mut text, &stored.expiring);
            show_gateways(&mut text, stored.gateways);
        }
        Err(error) => {
            metrics::counter!(STORE_ERRORS, "code" => SCRAPE).increment(1);
            tracing::warn!(%error, "the metrics from the database are missing from this scrape");
        }
    }
    text
}

/// Shows when the certificate expires that the listener shows, in this file.
pub fn show_own_certificate(file: &Path) {
    if let Some(not_after) = leaf_not_after(file) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!(OWN_NOT_AFTER).set(not_after as f64);
    }
}

fn leaf_not_after(file: &Path) -> Option<u64> {
    let leaf = CertificateDer::from_pem_file(file).ok()?;
    let (_, not_after) = leaf_validity(&leaf)?;
    Some(not_after)
}

fn show_database(text: &mut String, up: bool, writable: bool) {
    for (name, help, is_so) in [
        (DATABASE_UP, "1 if the database could be read just now", up),
        (
            DATABASE_WRITABLE,
            "0 while nothing can be written: the disk is full, or PostgreSQL takes no writes",
            writable,
        ),
    ] {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}",
            u8::from(is_so)
        );
    }
}

fn show_room(text: &mut String, room: &Room) {
    for (name, help, bytes) in [
        (DATABASE_BYTES, "bytes that the database takes", room.taken),
        (
            DISK_AVAILABLE,
            "bytes that are free on the disk of `data_dir`; with PostgreSQL there is none",
            room.available,
        ),
    ] {
        if let Some(bytes) = bytes {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {bytes}"
            );
        }
    }
}

/// What is read from the database.
struct Stored {
    revision: u64,
    anchors: Vec<ActiveAnchor>,
    expiring: Vec<ExpiringCount>,
    gateways: GatewayCounts,
}

async fn stored(store: &Store, ages: GatewayAges) -> Result<Stored, StoreError> {
    Ok(Stored {
        revision: store.revision().await?,
        anchors: store.list_active_anchors(MAX_ANCHORS).await?,
        expiring: store.count_expiring().await?,
        gateways: store.count_gateways(ages.kept_for, ages.live_for).await?,
    })
}

fn show_gateways(text: &mut String, gateways: GatewayCounts) {
    let _ = writeln!(
        text,
        "# HELP {GATEWAYS} gateways: those that enforce the latest change, that do not yet, and that vanished"
    );
    let _ = writeln!(text, "# TYPE {GATEWAYS} gauge");
    for (state, count) in [
        ("current", gateways.current),
        ("behind", gateways.behind),
        ("missing", gateways.missing),
    ] {
        let _ = writeln!(text, "{GATEWAYS}{{state=\"{state}\"}} {count}");
    }
}

fn show_expiring(text: &mut String, counts: &[ExpiringCount]) {
    let _ = writeln!(
        text,
        "# HELP {EXPIRING} active anchors, and leaves seen within 7 days, that expire within so many days"
    );
    let _ = writeln!(text, "# TYPE {EXPIRING} gauge");
    for each in counts {
        let (kind, days, count) = (each.kind.as_str(), each.within_days, each.count);
        let _ = writeln!(
            text,
            "{EXPIRING}{{kind=\"{kind}\",within_days=\"{days}\"}} {count}"
        );
    }
}

fn show_lists(text: &mut String, anchors: &[ActiveAnchor]) {
    let _ = writeln!(
        text,
        "# HELP {NEXT_UPDATE} until when all revocation lists of an active trust anchor are current, in Unix seconds"
    );
    let _ = writeln!(text, "# TYPE {NEXT_UPDATE} gauge");
    for anchor in anchors {
        if let Some(end) = anchor.lists_end_at {
            let _ = writeln!(
                text,
                "{NEXT_UPDATE}{{organization=\"{}\",certificate=\"{}\"}} {end}",
                anchor.organization, anchor.certificate
            );
        }
    }
}

fn show(text: &mut String, revision: u64, anchors: &[ActiveAnchor]) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "# HELP {REVISION} the number of the latest change");
    let _ = writeln!(text, "# TYPE {REVISION} gauge\n{REVISION} {revision}");
    let _ = writeln!(
        text,
        "# HELP {NOT_AFTER} when an active trust anchor expires, in Unix seconds"
    );
    let _ = writeln!(text, "# TYPE {NOT_AFTER} gauge");
    for anchor in anchors {
        let _ = writeln!(
            text,
            "{NOT_AFTER}{{organization=\"{}\",certificate=\"{}\"}} {}",
            anchor.organization, anchor.certificate, anchor.expires_at
        );
    }
}
