//! Replaces token keys that are old, on whichever node comes first.

use std::time::Duration;

use countersign_types::{audit::Actor, id::OrganizationId};
use tokio::time;

use crate::store::{Store, StoreError};

/// How long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Replaces the token keys of each organization when they are 30 days old, until `ended`.
pub async fn watch_token_keys(store: Store, ended: impl Future<Output = ()>) {
    let mut ticks = time::interval(LOOK_AGAIN);
    let watching = async {
        loop {
            ticks.tick().await;
            if let Err(error) = rotate_old(&store).await {
                tracing::warn!(%error, "cannot replace old token keys; will try again");
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = ended => {}
    }
}

async fn rotate_old(store: &Store) -> Result<(), StoreError> {
    loop {
        let some = store.organizations_with_old_token_keys().await?;
        if some.is_empty() {
            return Ok(());
        }
        for organization in &some {
            rotate(store, organization).await?;
        }
    }
}

/// Another node may have done it meanwhile: then nothing changes.
async fn rotate(store: &Store, organization: &OrganizationId) -> Result<(), StoreError> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let events = tx.rotate_old_token_key().await?;
    if events.is_empty() {
        return Ok(());
    }
    tx.commit(events).await?;
    tracing::info!(%organization, "a new token key takes the place of the old one");
    Ok(())
}
