//! Gives notice of what expires soon. Every node looks for it from time to time.

use std::time::Duration;

use countersign_types::expiry::ExpiringKind;
use tokio::time;

use crate::store::{ExpiryNotice, Store, StoreError};

/// How long to wait before looking again when nothing changes.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long to wait at least, however much changes.
const AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// How often to delete the notices of what has expired.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// Logs each thing that crosses a threshold and sends it to the organization's webhooks, until
/// `ended`.
pub async fn watch_expiry(store: Store, ended: impl Future<Output = ()>) {
    let mut changed = store.subscribe();
    let mut forget = time::interval(FORGET_EVERY);
    let watching = async {
        loop {
            match store.send_expiry_notices().await {
                Ok(notices) => notices.iter().for_each(log),
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
    tracing::warn!(%error, "cannot look for what expires; will try again");
}

fn log(notice: &ExpiryNotice) {
    let (organization, expiring) = (&notice.organization, &notice.expiring);
    let (expires_at, within_days) = (expiring.expires_at, notice.within_days);
    match (expiring.kind.known(), &expiring.id) {
        (Some(ExpiringKind::Anchor), Some(certificate)) => tracing::warn!(
            %organization, %certificate, expires_at, within_days,
            "an active trust anchor expires soon"
        ),
        _ => tracing::warn!(
            %organization, leaf_sha256 = %expiring.sha256, expires_at, within_days,
            "a client certificate in use expires soon"
        ),
    }
}
