//! The audit log.

use countersign_types::{error::ErrorCode, id::AuditLogId};

use super::{
    answer::Answer,
    call::Call,
    caller::Admin,
    error::ApiError,
    operation::Answered,
    query::{Query, unknown_cursor},
};
use crate::store::{AuditFilter, AuditPage, AuditRange, StoreError};

/// The latest moment that a filter may name: what the databases' integers hold.
const MAX_MOMENT: u64 = i64::MAX.unsigned_abs();

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let query = &call.query;
    let page = AuditPage {
        limit: query.limit()?,
        after: query.cursor::<AuditLogId>("after")?,
        before: query.cursor::<AuditLogId>("before")?,
    };
    let filter = filter(query)?;
    let listed = call
        .app
        .store()
        .list_audit_logs(&admin.organization, &filter, &page)
        .await;
    Answer::read(&listed.map_err(|error| at_its_cursor(error, &page))?)
}

pub(super) async fn retrieve_head(admin: Admin, call: Call) -> Answered {
    let store = call.app.store();
    Answer::read(&store.retrieve_audit_head(&admin.organization).await?)
}

fn filter(query: &Query) -> Result<AuditFilter, ApiError> {
    if query.boolean("tenant_only")? {
        return Err(ApiError::new(
            ErrorCode::InvalidValue,
            "There are no tenant-scoped events on this server. Leave `tenant_only` out.",
        )
        .at("tenant_only"));
    }
    let texts = |name| -> Result<Vec<String>, ApiError> {
        Ok(query.list(name)?.into_iter().map(str::to_owned).collect())
    };
    let mut actor_ids = texts("actor_ids")?;
    // Events are of keys and of the operator, and neither has an address: whoever asks for one
    // asks for nothing that there is.
    actor_ids.extend(texts("actor_emails")?);
    Ok(AuditFilter {
        effective_at: AuditRange {
            gt: query.number("effective_at[gt]", 0..=MAX_MOMENT)?,
            gte: query.number("effective_at[gte]", 0..=MAX_MOMENT)?,
            lt: query.number("effective_at[lt]", 0..=MAX_MOMENT)?,
            lte: query.number("effective_at[lte]", 0..=MAX_MOMENT)?,
        },
        project_ids: texts("project_ids")?,
        event_types: texts("event_types")?,
        actor_ids,
        resource_ids: texts("resource_ids")?,
    })
}

fn at_its_cursor(error: StoreError, page: &AuditPage) -> ApiError {
    match error {
        StoreError::UnknownCursor(id) if page.before.as_ref() == Some(&id) => {
            unknown_cursor("before")
        }
        other => other.into(),
    }
}
