//! What is looked at while the forwarder runs: its files, and when certificates expire.

use std::time::Duration;

use countersign_connect::Forwarder;
use metrics::gauge;

use super::identity::{Identity, Validity};
use crate::output::note;

/// How often the files are looked at.
const FILES: Duration = Duration::from_secs(1);

/// After how many of these looks the certificates' ends are looked at.
const LOOKS: u32 = 60;

/// A forwarder that runs, and the certificates that it sends.
pub(super) struct Watched {
    pub(super) forwarder: Forwarder,
    pub(super) identities: Vec<Identity>,
}

/// Reads changed files again: whether a new certificate, or new roots, are used now.
fn reload(forwarder: &Forwarder) -> bool {
    let (changed, failed) = forwarder.reload_if_changed();
    for error in failed {
        tracing::error!(%error, "cannot read a changed file; the old one stays in use");
    }
    !changed.is_empty()
}

impl Watched {
    /// Watches for as long as it is polled.
    pub(super) async fn watch(mut self) {
        let mut said: Vec<Validity> = self.identities.iter().map(Identity::validity).collect();
        let mut ticks = tokio::time::interval(FILES);
        for look in (0..LOOKS).cycle() {
            ticks.tick().await;
            if reload(&self.forwarder) {
                self.read_again();
            }
            if look == 0 {
                self.look_at_ends(&mut said);
            }
        }
    }

    fn read_again(&mut self) {
        for identity in &mut self.identities {
            match identity.read() {
                Ok(()) => note(&format!(
                    "countersign connect read its files again: it {}",
                    identity.sentence()
                )),
                Err(failure) => {
                    tracing::error!(error = failure.message(), "cannot read a certificate")
                }
            }
        }
    }

    /// Shows when certificates end, and warns once of each that is about to, or has.
    fn look_at_ends(&self, said: &mut [Validity]) {
        for (identity, said) in self.identities.iter().zip(said) {
            for host in &identity.hosts {
                let end = u32::try_from(identity.not_after.unwrap_or_default()).unwrap_or(u32::MAX);
                gauge!("countersign_connect_certificate_not_after_seconds", "host" => host.clone())
                    .set(f64::from(end));
            }
            let now = identity.validity();
            if now != *said && now != Validity::Fine {
                tracing::warn!("the client certificate {}", identity.described());
            }
            *said = now;
        }
    }
}
