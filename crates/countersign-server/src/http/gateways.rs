//! What gateways ask for: the bundle, held open until something changes; and which gateways asked.

use std::time::Duration;

use countersign_types::{
    bundle::{Bundle, Gateways},
    id::GatewayId,
};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use super::{
    answer::{self, Answer},
    app::App,
    body::check_name,
    caller::{AdminOrGateway, Gateway},
    error::ApiError,
    query::{Query, WholeOr},
};

/// The longest that a bundle may be waited for, in seconds, and the default.
const MAX_WAIT_SECONDS: u64 = 60;
const DEFAULT_WAIT_SECONDS: u64 = 30;
/// How long after its last request a gateway counts as alive: the longest wait, and as much
/// again as a slow network may need.
const ALIVE_SECONDS: u64 = 2 * MAX_WAIT_SECONDS;
/// The highest revision that the databases' integers hold.
const MAX_REVISION: u64 = i64::MAX.unsigned_abs();

type Revision = WholeOr<0, MAX_REVISION, 0>;
type WaitSeconds = WholeOr<0, MAX_WAIT_SECONDS, DEFAULT_WAIT_SECONDS>;

/// Which bundle a gateway asks for, and what it reports with the request.
#[derive(Deserialize, IntoParams)]
pub(super) struct BundleQuery {
    /// The revision that the gateway has; 0 for none.
    #[serde(default)]
    #[param(inline)]
    after: Revision,
    /// How many seconds to hold the request open until there is a change.
    #[serde(default)]
    #[param(inline)]
    wait: WaitSeconds,
    /// The id that the gateway drew at its start: it is then listed as enforcing `after`.
    #[param(value_type = Option<String>, nullable = false, pattern = "^gw_[A-Za-z0-9_-]{1,125}$")]
    gateway: Option<GatewayId>,
    /// The gateway's name in the list.
    #[param(nullable = false, min_length = 1, max_length = 256, default = json!("gateway"))]
    name: Option<String>,
}

/// The organizations that changed after a revision. Without a change, the request stays open
/// until there is one, the wait is over, or this process shuts down.
pub(super) async fn bundle(
    _: Gateway,
    app: App,
    Query(query): Query<BundleQuery>,
) -> Answer<Bundle> {
    let after = query.after.0;
    let wait = query.wait.0;
    if let Some(id) = &query.gateway {
        // A gateway asks only for what comes after the revision that it enforces.
        let name = query.name.as_deref().unwrap_or("gateway");
        check_name("name", name)?;
        app.store().record_gateway(id, name, after).await?;
    }
    let until = Instant::now() + Duration::from_secs(wait);
    answer::read(&next_bundle(&app, after, until).await?)
}

async fn next_bundle(app: &App, after: u64, until: Instant) -> Result<Bundle, ApiError> {
    // Subscribed before the first look, so that no change falls between the look and the wait.
    let mut signal = app.store().subscribe();
    loop {
        signal.mark_unchanged();
        let bundle = app.store().bundle(after).await?;
        let unchanged = bundle.revision == after && bundle.organizations.is_empty();
        if !unchanged || Instant::now() >= until || app.closing().is_cancelled() {
            return Ok(bundle);
        }
        tokio::select! {
            // A closed channel means that the store has closed: the next read returns its error.
            _ = timeout_at(until, signal.changed()) => {}
            () = app.closing().cancelled() => {}
        }
    }
}

/// The gateways that are alive.
pub(super) async fn list(_: AdminOrGateway, app: App) -> Answer<Gateways> {
    let since = app.now().saturating_sub(ALIVE_SECONDS);
    answer::read(&app.store().list_gateways(since).await?)
}
