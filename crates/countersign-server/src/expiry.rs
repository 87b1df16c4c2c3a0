//! Tells of what expires soon: looks at the store again and again, on every node.

use std::time::Duration;

use countersign_types::expiry::ExpiringKind;
use tokio::time;

use crate::store::{ExpiryNotice, Store, StoreError};

/// How often to look when nothing changed, and at most when much does.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// How often to forget what was told of what has expired.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// Writes a line into the log for each thing that crosses a threshold, and puts it out to the
/// organization's webhooks, until `ended`.
pub async fn watch_expiry(store: Store, ended: impl Future<Output = ()>) {
    let mut changed = store.subscribe();
    let mut forget = time::interval(FORGET_EVERY);
    let watching = async {
        loop {
            match store.tell_expiring().await {
                Ok(notices) => notices.iter().for_each(tell),
                Err(error) => failed(&error),
            }
            time::sleep(AT_MOST_EVERY).await;
            tokio::select! {
                _ = changed.changed() => {}
                () = time::sleep(LOOK_AGAIN) => {}
                _ = forget.tick() => {
                    if let Err(error) = store.forget_notices().await {
                        failed(&error);
                    }
                }
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = ended => {}
    }
}

fn failed(error: &StoreError) {
    tracing::warn!(%error, "cannot see what expires; it is tried again");
}

fn tell(notice: &ExpiryNotice) {
    let (organization, expiring) = (&notice.organization, &notice.expiring);
    let (expires_at, within_days) = (expiring.expires_at, notice.within_days);
    match (expiring.kind, &expiring.id) {
        (ExpiringKind::Anchor, Some(certificate)) => tracing::warn!(
            %organization, %certificate, expires_at, within_days,
            "an active trust anchor expires soon"
        ),
        _ => tracing::warn!(
            %organization, leaf_sha256 = %expiring.sha256, expires_at, within_days,
            "a client certificate in use expires soon"
        ),
    }
}
