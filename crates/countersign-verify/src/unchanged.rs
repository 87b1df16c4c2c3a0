//! How long a verdict stays the same: until something that was looked at becomes valid or
//! expires. Nothing else in a judgement depends on the time.

use countersign_types::{UnixSeconds, certificate::Scope};

use crate::{presented::Presented, trust::TrustSet, x509::Certificate};

/// The first second after `now` at which [`crate::judge::judge`] may decide otherwise about the same
/// chain, under the same trust.
#[must_use]
pub fn unchanged_until(
    trust: &TrustSet,
    scope: &Scope,
    presented: &Presented,
    now: UnixSeconds,
) -> UnixSeconds {
    let anchors = trust
        .applicable(scope)
        .into_iter()
        .flat_map(|applicable| applicable.all())
        .filter_map(|(_, _, anchor)| anchor.ok())
        .map(|anchor| (anchor.not_before, anchor.not_after));
    let lists = trust
        .applicable(scope)
        .into_iter()
        .flat_map(|applicable| applicable.all())
        .filter_map(|(_, _, anchor)| anchor.ok())
        .flat_map(|anchor| anchor.lists.ends())
        .map(|end| (0, end));
    // What cannot be read now cannot be read later.
    let presented = presented
        .judged()
        .iter()
        .filter_map(|der| Certificate::read(der).ok())
        .map(|fields| (fields.not_before, fields.not_after));
    anchors
        .chain(lists)
        .chain(presented)
        // `notAfter` itself is inside (RFC 5280 section 4.1.2.5).
        .flat_map(|(not_before, not_after)| [not_before, not_after.saturating_add(1)])
        .filter(|time| *time > now)
        .min()
        .unwrap_or(UnixSeconds::MAX)
}
