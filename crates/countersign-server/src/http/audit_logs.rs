//! The audit log.

use countersign_types::{
    audit::{AuditHead, AuditLog},
    error::ErrorCode,
    id::AuditLogId,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    caller::Admin,
    error::ApiError,
    event_types::EventType,
    paging::{Limit, cursor},
    query::{Query, Whole},
};
use crate::store::{AuditFilter, AuditPage, AuditRange, StoreError};

/// The latest time that a filter may name: what the databases' integers hold.
const MAX_TIME: u64 = i64::MAX.unsigned_abs();

/// A time in Unix seconds.
type Time = Whole<0, MAX_TIME>;

/// Which events are asked for.
#[derive(Deserialize, IntoParams)]
pub(super) struct AuditQuery {
    /// Only events after this time, in Unix seconds.
    #[serde(rename = "effective_at[gt]")]
    #[param(inline, nullable = false)]
    after_time: Option<Time>,
    /// Only events at this time or later, in Unix seconds.
    #[serde(rename = "effective_at[gte]")]
    #[param(inline, nullable = false)]
    from_time: Option<Time>,
    /// Only events before this time, in Unix seconds.
    #[serde(rename = "effective_at[lt]")]
    #[param(inline, nullable = false)]
    before_time: Option<Time>,
    /// Only events at this time or earlier, in Unix seconds.
    #[serde(rename = "effective_at[lte]")]
    #[param(inline, nullable = false)]
    until_time: Option<Time>,
    /// The most entries that the page may hold.
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// The id of the event that the page follows: `last_id` of the page before.
    #[param(nullable = false)]
    after: Option<String>,
    /// The id of the event that the page precedes: `first_id` of the page after.
    #[param(nullable = false)]
    before: Option<String>,
    /// Only events about one of these projects.
    #[serde(default, rename = "project_ids[]")]
    #[param(max_items = 100)]
    project_ids: Vec<String>,
    /// Only events of one of these types.
    #[serde(default, rename = "event_types[]")]
    #[param(inline, max_items = 100)]
    event_types: Vec<EventType>,
    /// Only events by one of these keys.
    #[serde(default, rename = "actor_ids[]")]
    #[param(max_items = 100)]
    actor_ids: Vec<String>,
    /// Only events by one of these people. Actors here have no email address, so none match.
    #[serde(default, rename = "actor_emails[]")]
    #[param(max_items = 100)]
    actor_emails: Vec<String>,
    /// Only events about one of these resources.
    #[serde(default, rename = "resource_ids[]")]
    #[param(max_items = 100)]
    resource_ids: Vec<String>,
    /// Only tenant-scoped events. There are none on this server, so only `false` is accepted.
    #[serde(default)]
    #[param(default = json!(false))]
    tenant_only: bool,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    Query(query): Query<AuditQuery>,
) -> PageAnswer<AuditLog> {
    let page = AuditPage {
        limit: query.limit.get(),
        after: cursor::<AuditLogId>("after", query.after.clone())?,
        before: cursor::<AuditLogId>("before", query.before.clone())?,
    };
    let filter = query.filter()?;
    let store = app.store();
    let listed = store.list_audit_logs(&admin.organization, &filter, &page);
    answer::page(&listed.await.map_err(|error| with_cursor(error, &page))?)
}

pub(super) async fn retrieve_head(admin: Admin, app: App) -> Answer<AuditHead> {
    answer::read(&app.store().retrieve_audit_head(&admin.organization).await?)
}

impl AuditQuery {
    fn filter(self) -> Result<AuditFilter, ApiError> {
        if self.tenant_only {
            return Err(ApiError::new(
                ErrorCode::InvalidValue,
                "There are no tenant-scoped events on this server. Leave `tenant_only` out.",
            )
            .at("tenant_only"));
        }
        let time = |bound: Option<Time>| bound.map(|time| time.0);
        let event_types = self.event_types.iter();
        Ok(AuditFilter {
            effective_at: AuditRange {
                gt: time(self.after_time),
                gte: time(self.from_time),
                lt: time(self.before_time),
                lte: time(self.until_time),
            },
            project_ids: self.project_ids,
            event_types: event_types.map(|each| each.as_str().to_owned()).collect(),
            // Actors are keys and the operator, and neither has an email address. As one more
            // actor, an address matches nothing.
            actor_ids: [self.actor_ids, self.actor_emails].concat(),
            resource_ids: self.resource_ids,
        })
    }
}

/// Names the cursor that is unknown.
fn with_cursor(error: StoreError, page: &AuditPage) -> ApiError {
    match error {
        StoreError::UnknownCursor(id) if page.before.as_ref() == Some(&id) => {
            ApiError::unknown_cursor("before")
        }
        other => other.into(),
    }
}
