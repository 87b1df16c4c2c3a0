//! Gateways register the keys that they sign receipts with.

use countersign_types::{
    audit::Actor,
    id::ReceiptKeyId,
    receipt::{
        MAX_REGISTERED_AT_ONCE, ReceiptKeyProof, ReceiptKeyRegistration, RegisteredReceiptKey,
    },
};

use super::{
    answer::{self, Answer},
    app::App,
    body::{Body, RequestBody},
    caller::Gateway,
    error::ApiError,
};
use crate::store::StoreError;

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
    let mut registered = Vec::new();
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
                registered.push(organization);
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
    })
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
