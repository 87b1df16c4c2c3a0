//! What gateways ask for: the bundle, held open until something changes; and which gateways asked.

use std::{sync::Arc, time::Duration};

use countersign_types::{
    bundle::{Bundle, BundleDigests, Gateways},
    capability::Capability,
    history::{HistoryPoint, RevisionToken},
    id::{self, GatewayId, OrganizationId},
    or_unknown::OrUnknown,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{self, Answer},
    app::App,
    body::check_name,
    caller::{AdminOrGateway, Gateway},
    error::ApiError,
    path::Path,
    query::{Query, WholeOr},
};
use crate::store::{
    BundleAnswer, BundleRequest, GATEWAY_LIVE_SECONDS, GatewayFilter, GatewayReport,
    MAX_BUNDLE_WAIT_SECONDS, Reach,
};

/// How long a bundle is waited for by default, in seconds.
const DEFAULT_WAIT_SECONDS: u64 = 30;
/// The highest revision that the databases' integers hold.
const MAX_REVISION: u64 = i64::MAX.unsigned_abs();

type Revision = WholeOr<0, MAX_REVISION, 0>;
type WaitSeconds = WholeOr<0, MAX_BUNDLE_WAIT_SECONDS, DEFAULT_WAIT_SECONDS>;

/// Which bundle a gateway asks for, and what it reports with the request.
#[derive(Deserialize, IntoParams)]
pub(super) struct BundleQuery {
    /// The revision that the gateway has; 0 for none.
    #[serde(default)]
    #[param(inline)]
    after: Revision,
    /// That revision's token. Without it, or with one that is not of this history, the answer is every
    /// organization.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9a-f]{32}$")]
    token: RevisionToken,
    /// How many seconds to hold the request open until there is a change.
    #[serde(default)]
    #[param(inline)]
    wait: WaitSeconds,
    /// The gateway's own id: it is then listed as enforcing `after`.
    #[serde(default, deserialize_with = "id::checked")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^gw_[A-Za-z0-9_-]{1,125}$")]
    gateway: Option<GatewayId>,
    /// The gateway's name in the list.
    #[param(nullable = false, min_length = 1, max_length = 256, default = json!("gateway"))]
    name: Option<String>,
    /// Whether what the gateway enforces would survive its restart. If not, the list keeps what it
    /// reported before.
    #[param(nullable = false, default = json!(true))]
    durable: Option<bool>,
    /// Answer with these organizations as they are now instead, at once and whatever `after` is.
    #[serde(default, rename = "organizations[]", deserialize_with = "id::checked")]
    #[param(value_type = Vec<String>)]
    organizations: Vec<OrganizationId>,
    /// Where the answer is every organization, send them in pages: `next` of each answer is `from` of the
    /// request for the next page. What changed meanwhile is what changed after the point of the first.
    #[param(nullable = false, default = json!(false))]
    paged: Option<bool>,
    /// Where the answer is what changed, send what changed of each organization's keys instead of all of them.
    #[param(nullable = false, default = json!(false))]
    key_changes: Option<bool>,
    /// What of bundles the gateway understands. In the list of gateways, one that does not understand what its
    /// organizations have does not enforce it. Others than these are passed over.
    #[serde(default, rename = "understands[]")]
    #[param(value_type = Vec<Capability>)]
    understands: Vec<OrUnknown<Capability>>,
    /// Answer with the page of organizations after this one, at once and whatever `after` is.
    #[serde(default, deserialize_with = "id::checked")]
    #[param(value_type = Option<String>, nullable = false)]
    from: Option<OrganizationId>,
}

/// Which digests are asked for.
#[derive(Deserialize, IntoParams)]
pub(super) struct DigestsQuery {
    /// Send them in pages: `next` of each answer is `from` of the request for the next page.
    #[param(nullable = false, default = json!(false))]
    paged: Option<bool>,
    /// Answer with the page of digests after this organization.
    #[serde(default, deserialize_with = "id::checked")]
    #[param(value_type = Option<String>, nullable = false)]
    from: Option<OrganizationId>,
}

/// Which change the caller waits for.
#[derive(Deserialize, IntoParams)]
pub(super) struct ChangeQuery {
    /// The revision of a change (`countersign-revision`): `lost` then says whether it is lost.
    #[serde(default)]
    #[param(inline)]
    revision: Revision,
    /// Its token (`countersign-token`).
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9a-f]{32}$")]
    token: RevisionToken,
}

/// A gateway that is not listed any more.
#[derive(Serialize, ToSchema)]
pub(super) struct ForgottenGateway {
    /// Its id.
    id: GatewayId,
    /// Always true.
    deleted: bool,
}

/// The organizations that changed after a point of the history. Without a change, the request
/// stays open until there is one, the wait is over, or this process shuts down.
pub(super) async fn bundle(
    gateway: Gateway,
    app: App,
    Query(query): Query<BundleQuery>,
) -> Answer<Bundle> {
    let understands = query.understands.iter().filter_map(OrUnknown::known);
    let understands: Vec<_> = understands.collect();
    if let Some(report) = query.report(&gateway, &understands)? {
        let kept_since = app.gateways_kept_since();
        app.store().record_gateway(report, kept_since).await?;
    }
    let reach = gateway.reach;
    if !query.organizations.is_empty() {
        let asked = query.organizations.into_iter();
        let asked: Vec<_> = asked.filter(|id| reach.includes(id)).collect();
        let organizations = app.store().organization_bundles(&asked).await?;
        return answer::read(&told(organizations, &reach));
    }
    if let Some(from) = &query.from {
        let page = app.store().bundle_page(&reach, Some(from)).await?;
        return answer::read(&told(page, &reach));
    }
    let until = Instant::now() + Duration::from_secs(query.wait.0);
    if query.is_of_before_tokens()
        && let Some(unchanged) = wait_at_revision(&app, query.after.0, until).await?
    {
        return answer::read(&told(unchanged, &reach));
    }
    let request = BundleRequest {
        after: reach.inward(query.point()),
        reach,
        paged: query.paged.unwrap_or(false),
        key_changes: query.key_changes.unwrap_or(false),
    };
    Ok(answer::ready_made(
        next_bundle(&app, request, until).await?.json(),
    ))
}

/// The same as a gateway with a key that reaches so far is told it.
fn told(mut bundle: Bundle, reach: &Reach) -> Bundle {
    bundle.token = reach.outward(bundle.point()).token;
    bundle
}

impl BundleQuery {
    /// What the caller asks for changes after.
    const fn point(&self) -> HistoryPoint {
        match self.after.0 {
            0 => HistoryPoint::START,
            revision => HistoryPoint {
                revision,
                token: self.token,
            },
        }
    }

    /// What a gateway says of itself by asking: it asks only for what comes after the point that it
    /// enforces.
    fn report<'a>(
        &'a self,
        by: &'a Gateway,
        understands: &'a [Capability],
    ) -> Result<Option<GatewayReport<'a>>, ApiError> {
        let Some(id) = &self.gateway else {
            return Ok(None);
        };
        let name = self.name.as_deref().unwrap_or("gateway");
        check_name("name", name)?;
        Ok(Some(GatewayReport {
            id,
            name,
            key: &by.key,
            enforced: by.reach.inward(self.point()),
            durable: self.durable.unwrap_or(true),
            understands,
        }))
    }

    /// Whether a gateway of a version before tokens asks: later ones always say whether what they
    /// enforce is durable.
    const fn is_of_before_tokens(&self) -> bool {
        self.gateway.is_some() && self.durable.is_none() && self.token.is_none()
    }
}

/// Waits until the deployment's revision is another one than this; what to answer if the wait ends
/// before. A caller without a token for its revision is answered with everything, and would ask again
/// at once for ever.
async fn wait_at_revision(
    app: &App,
    revision: u64,
    until: Instant,
) -> Result<Option<Bundle>, ApiError> {
    let mut signal = app.store().subscribe();
    loop {
        signal.mark_unchanged();
        let nothing = app.store().organization_bundles(&[]).await?;
        if nothing.revision != revision {
            return Ok(None);
        }
        if Instant::now() >= until || app.closing().is_cancelled() {
            return Ok(Some(nothing));
        }
        tokio::select! {
            _ = timeout_at(until, signal.changed()) => {}
            () = app.closing().cancelled() => {}
        }
    }
}

async fn next_bundle(
    app: &App,
    request: BundleRequest,
    until: Instant,
) -> Result<Arc<BundleAnswer>, ApiError> {
    let mut waiting = app.store().wait_for(request);
    loop {
        let last = Instant::now() >= until || app.closing().is_cancelled();
        if let Some(bundle) = waiting.look(last).await? {
            return Ok(bundle);
        }
        tokio::select! {
            _ = timeout_at(until, waiting.signal()) => {}
            () = app.closing().cancelled() => {}
        }
    }
}

/// What every organization's bundle should be.
pub(super) async fn digests(
    gateway: Gateway,
    app: App,
    Query(query): Query<DigestsQuery>,
) -> Answer<BundleDigests> {
    let reach = &gateway.reach;
    let digests = if query.paged.unwrap_or(false) || query.from.is_some() {
        let page = app.store().bundle_digests_page(reach, query.from.as_ref());
        page.await?
    } else {
        app.store().bundle_digests(reach).await?
    };
    answer::read(&digests)
}

/// The gateways that are known: all of them to a gateway's key, those that use it to one that is limited, and
/// to an organization what concerns it.
pub(super) async fn list(
    caller: AdminOrGateway,
    app: App,
    Query(query): Query<ChangeQuery>,
) -> Answer<Gateways> {
    let filter = GatewayFilter {
        kept_since: app.gateways_kept_since(),
        live_since: app.now().saturating_sub(GATEWAY_LIVE_SECONDS),
    };
    let mut change = HistoryPoint {
        revision: query.revision.0,
        token: query.token,
    };
    let mut gateways = match caller {
        AdminOrGateway::Gateway(gateway) if gateway.reach == Reach::All => {
            app.store().list_gateways(filter).await?
        }
        AdminOrGateway::Gateway(gateway) => {
            change = gateway.reach.inward(change);
            let listed = app.store().list_gateways_with_key(&gateway.key, filter);
            listed.await?
        }
        AdminOrGateway::Admin(admin) => {
            let listed = app.store().list_gateways_of(&admin.organization, filter);
            listed.await?
        }
    };
    // After the list: a database that is put back in between must not pass for the one before.
    if !query.token.is_none() {
        gateways.lost = app.store().has_lost(change).await?;
    }
    answer::read(&gateways)
}

/// Forgets a gateway: the goodbye of one that ends, and what an operator does for one that will not
/// come back.
pub(super) async fn forget(
    gateway: Gateway,
    app: App,
    Path(id): Path<GatewayId>,
) -> Answer<ForgottenGateway> {
    let only = (gateway.reach != Reach::All).then_some(&gateway.key);
    app.store().forget_gateway_with_key(&id, only).await?;
    tracing::info!(gateway = %id, "a gateway was removed from the list");
    answer::read(&ForgottenGateway { id, deleted: true })
}
