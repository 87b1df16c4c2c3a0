//! What was in force when: the database's organizations over time, over all of its histories.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use countersign_types::{
    bundle::OrganizationBundle, digest::Sha256, history::HistoryPoint, id::OrganizationId,
};

/// An organization as it was from one time to the next; none while it was not there.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) end: Option<Duration>,
    pub(crate) bundle: Option<Arc<OrganizationBundle>>,
}

impl Span {
    fn digest(&self) -> Option<Sha256> {
        self.bundle.as_ref().and_then(|bundle| bundle.digest)
    }

    /// Whether it was still so at this time, or at any later one.
    pub(crate) fn lasts_to(&self, time: Duration) -> bool {
        self.end.is_none_or(|end| end >= time)
    }

    /// Whether it was so after this time.
    pub(crate) fn lasts_beyond(&self, time: Duration) -> bool {
        self.end.is_none_or(|end| end > time)
    }
}

/// What the database held.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    organizations: BTreeMap<OrganizationId, Vec<Span>>,
    /// When each point was made, in whichever history.
    made: HashMap<HistoryPoint, Duration>,
    /// The points of the history that the database has now.
    pub(crate) history: BTreeMap<u64, HistoryPoint>,
}

impl Truth {
    /// An organization was changed.
    pub(crate) fn change(
        &mut self,
        now: Duration,
        point: HistoryPoint,
        bundle: OrganizationBundle,
    ) {
        self.made.insert(point, now);
        self.history.insert(point.revision, point);
        let id = bundle.id.clone();
        self.set(now, id, Some(bundle));
    }

    /// The database is as it was at a point of its history.
    pub(crate) fn restore(
        &mut self,
        now: Duration,
        history: BTreeMap<u64, HistoryPoint>,
        bundles: Vec<OrganizationBundle>,
    ) {
        self.history = history;
        let mut gone: Vec<_> = self.organizations.keys().cloned().collect();
        gone.retain(|id| !bundles.iter().any(|bundle| bundle.id == *id));
        for id in gone {
            self.set(now, id, None);
        }
        for bundle in bundles {
            self.set(now, bundle.id.clone(), Some(bundle));
        }
    }

    fn set(&mut self, now: Duration, id: OrganizationId, bundle: Option<OrganizationBundle>) {
        let spans = self.organizations.entry(id).or_insert_with(|| {
            vec![Span {
                end: None,
                bundle: None,
            }]
        });
        let digest = bundle.as_ref().and_then(|bundle| bundle.digest);
        if let Some(last) = spans.last_mut() {
            if last.digest() == digest {
                return;
            }
            last.end = Some(now);
        }
        spans.push(Span {
            end: None,
            bundle: bundle.map(Arc::new),
        });
    }

    /// When a point was made; from the beginning if it is no point at all.
    pub(crate) fn made(&self, point: HistoryPoint) -> Duration {
        self.made.get(&point).copied().unwrap_or_default()
    }

    pub(crate) fn latest(&self) -> HistoryPoint {
        let last = self.history.last_key_value();
        last.map_or(HistoryPoint::START, |(_, point)| *point)
    }

    /// Every organization that ever was, as it was over time.
    pub(crate) fn organizations(&self) -> impl Iterator<Item = (&OrganizationId, &[Span])> {
        self.organizations
            .iter()
            .map(|(id, spans)| (id, spans.as_slice()))
    }

    pub(crate) fn spans(&self, id: &OrganizationId) -> &[Span] {
        self.organizations.get(id).map_or(&[], Vec::as_slice)
    }

    /// The organizations as they were before their latest change.
    pub(crate) fn former(&self) -> Vec<Arc<OrganizationBundle>> {
        let former = self.organizations.values().filter_map(|spans| {
            let [.., before, latest] = spans.as_slice() else {
                return None;
            };
            before.bundle.clone().or_else(|| latest.bundle.clone())
        });
        former.collect()
    }

    /// The organizations as they are now.
    pub(crate) fn current(&self) -> Vec<Arc<OrganizationBundle>> {
        let spans = self.organizations.values().filter_map(|spans| spans.last());
        spans.filter_map(|span| span.bundle.clone()).collect()
    }

    /// The spans in which an organization was as in these digests.
    pub(crate) fn matching(spans: &[Span], digest: Option<Sha256>) -> impl Iterator<Item = &Span> {
        spans.iter().filter(move |span| span.digest() == digest)
    }
}
