//! What expires soon.

use countersign_types::expiry::{DEFAULT_WITHIN_DAYS, ExpiringList, MAX_WITHIN_DAYS};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    answer::{self, Answer},
    app::App,
    caller::Admin,
    query::{Query, WholeOr},
};

type Days = WholeOr<0, MAX_WITHIN_DAYS, DEFAULT_WITHIN_DAYS>;

/// How far ahead to look.
#[derive(Deserialize, IntoParams)]
pub(super) struct ExpiringQuery {
    /// How many days to look ahead.
    #[serde(default)]
    #[param(inline)]
    within_days: Days,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    Query(query): Query<ExpiringQuery>,
) -> Answer<ExpiringList> {
    let days = query.within_days.0;
    let expiring = app.store().list_expiring(&admin.organization, days);
    answer::read(&expiring.await?)
}
