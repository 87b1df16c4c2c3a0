//! Refused requests, by caller, leaf and code.

use countersign_types::{id::RefusalId, refusal::Refusal};

use super::{
    answer::{self, PageAnswer},
    app::App,
    caller::Admin,
    paging::Paging,
};

pub(super) async fn list(admin: Admin, app: App, page: Paging<RefusalId>) -> PageAnswer<Refusal> {
    let refusals = app
        .store()
        .list_refusals(&admin.organization, &page.request);
    answer::page(&refusals.await?)
}
