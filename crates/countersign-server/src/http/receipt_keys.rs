//! The keys that gateways sign receipts with: gateways register them, administrators see and withdraw them.

use countersign_types::{
    audit::Actor,
    id::ReceiptKeyId,
    receipt::{
        MAX_REGISTERED_AT_ONCE, ReceiptKey, ReceiptKeyProof, ReceiptKeyRegistration,
        RegisteredReceiptKey,
    },
};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody},
    caller::{Admin, Gateway},
    error::ApiError,
    paging::Paging,
    path::Path,
};
use crate::store::{Belief, StoreError};

/// Registers a key for those of the organizations that the gateway's key reaches, each by a change of its
/// own.
pub(super) async fn register(
    gateway: Gateway,
    app: App,
    Body(request): Body<ReceiptKeyRegistration>,
) -> Answer<RegisteredReceiptKey> {
    let ReceiptKeyProof {
        gateway: id,
        public_key,
    } = ReceiptKeyProof::read(&request.proof).ok_or_else(unproven)?;
    let key = ReceiptKeyId::of(&public_key);
    let (mut registered, mut withdrawn) = (Vec::new(), Vec::new());
    let asked = request.organizations.into_iter();
    for organization in asked.filter(|each| gateway.reach.includes(each)) {
        let actor = Actor::Gateway(gateway.key.clone());
        let mut tx = match app.store().write(&organization, actor).await {
            // An organization that is not there is none that the key reaches.
            Err(StoreError::NotFound { .. }) => continue,
            begun => begun?,
        };
        match tx.register_receipt_key(&id, public_key).await {
            Ok(change) => {
                tx.commit(change.events).await?;
                match change.answer {
                    Belief::Believed => registered.push(organization),
                    Belief::Withdrawn => withdrawn.push(organization),
                }
            }
            Err(error @ StoreError::ReceiptKeyLimit) => {
                tracing::warn!(%organization, gateway = %id, %error, "a receipt key was not registered");
            }
            Err(error) => return Err(error.into()),
        }
    }
    answer::read(&RegisteredReceiptKey {
        id: key,
        organizations: registered,
        withdrawn,
    })
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<ReceiptKeyId>,
) -> PageAnswer<ReceiptKey> {
    let store = app.store();
    let keys = store.list_receipt_keys(&admin.organization, &page.request);
    answer::page(&keys.await?)
}

pub(super) async fn withdraw(
    admin: Admin,
    app: App,
    Path(id): Path<ReceiptKeyId>,
) -> Answer<ReceiptKey> {
    let mut tx = admin.write(&app).await?;
    let change = tx.withdraw_receipt_key(&id).await?;
    answer::commit(tx, change).await
}

fn unproven() -> ApiError {
    let message = "`proof` is not the gateway's id and public key, signed with that key.";
    ApiError::value("proof", message)
}

impl RequestBody for ReceiptKeyRegistration {
    fn check(&mut self) -> Result<(), ApiError> {
        if (1..=MAX_REGISTERED_AT_ONCE).contains(&self.organizations.len()) {
            return Ok(());
        }
        let message =
            format!("`organizations` has 1 to {MAX_REGISTERED_AT_ONCE} ids of organizations.");
        Err(ApiError::value("organizations", message))
    }
}
