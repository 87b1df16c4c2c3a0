//! What of an organization expires soon.

use countersign_types::expiry::{DEFAULT_WITHIN_DAYS, MAX_WITHIN_DAYS};

use super::{answer::Answer, call::Call, caller::Admin, operation::Answered};

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let days = call.query.number("within_days", 0..=MAX_WITHIN_DAYS)?;
    let days = days.unwrap_or(DEFAULT_WITHIN_DAYS);
    let store = call.app.store();
    Answer::read(&store.list_expiring(&admin.organization, days).await?)
}
