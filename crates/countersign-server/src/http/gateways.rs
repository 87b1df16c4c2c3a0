//! What gateways ask for: the bundle, held open until there is news; and who asked.

use std::time::Duration;

use countersign_types::{bundle::Bundle, id::GatewayId};
use tokio::time::{Instant, timeout_at};

use super::{
    App, answer::Answer, body::check_name, call::Call, error::ApiError, operation::Answered,
    query::Query,
};

/// The longest that a bundle may be waited for, in seconds, and how long it is when not said.
pub(super) const MAX_WAIT_SECONDS: u64 = 60;
pub(super) const DEFAULT_WAIT_SECONDS: u64 = 30;
/// How long after its last request a gateway counts as alive: the longest wait, and as much
/// again as a slow network may need.
const ALIVE_SECONDS: u64 = 2 * MAX_WAIT_SECONDS;

/// The organizations that changed after a revision. Without a change, the request stays open
/// until there is one, the wait is over, or this process means to end.
pub(super) async fn bundle(call: Call) -> Answered {
    let after = call
        .query
        .number("after", 0..=i64::MAX.unsigned_abs())?
        .unwrap_or(0);
    let wait = call
        .query
        .number("wait", 0..=MAX_WAIT_SECONDS)?
        .unwrap_or(DEFAULT_WAIT_SECONDS);
    record(&call.app, &call.query, after).await?;
    let until = Instant::now() + Duration::from_secs(wait);
    Answer::read(&news(&call.app, after, until).await?)
}

async fn news(app: &App, after: u64, until: Instant) -> Result<Bundle, ApiError> {
    // Subscribed before the first look, so that no change falls between the look and the wait.
    let mut signal = app.store().subscribe();
    loop {
        signal.mark_unchanged();
        let bundle = app.store().bundle(after).await?;
        let nothing_new = bundle.revision == after && bundle.organizations.is_empty();
        if !nothing_new || Instant::now() >= until || app.closing().is_cancelled() {
            return Ok(bundle);
        }
        tokio::select! {
            // A closed channel is the end of the store: look once more and let that say so.
            _ = timeout_at(until, signal.changed()) => {}
            () = app.closing().cancelled() => {}
        }
    }
}

/// Keeps which revision a gateway enforces: the one after which it asks.
async fn record(app: &App, query: &Query, after: u64) -> Result<(), ApiError> {
    let Some(id) = query.one("gateway")? else {
        return Ok(());
    };
    let id: GatewayId = id.parse().map_err(|_| {
        ApiError::value(
            "gateway",
            "`gateway` must be an id of the form `gw_…`, drawn at random.",
        )
    })?;
    let name = query.one("name")?.unwrap_or("gateway");
    let name = check_name("name", name.to_owned())?;
    Ok(app.store().record_gateway(&id, &name, after).await?)
}

/// The gateways that are alive.
pub(super) async fn list(call: Call) -> Answered {
    let since = call.app.now().saturating_sub(ALIVE_SECONDS);
    Answer::read(&call.app.store().list_gateways(since).await?)
}
