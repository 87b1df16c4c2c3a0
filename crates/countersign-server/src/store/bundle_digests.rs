//! The digests of all organizations, with which a gateway compares what it has.

use std::{collections::HashSet, sync::Arc};

use countersign_types::{
    UnixSeconds,
    bundle::{Bundle, BundleDigests, OrganizationBundle, OrganizationDigest},
    history::HistoryPoint,
    id::OrganizationId,
};

use super::{
    Reach, Store, StoreError, bundle::Changed, connection::Connection, history,
    shared_answers::KeptDigests,
};

/// For how many seconds the digests of organizations that did not change are not computed anew. They are in
/// the end: what has changed without a revision is found by them alone.
const READ_WHOLE_EVERY: UnixSeconds = 60 * 60;

impl Store {
    /// The digest of every organization's bundle. All are read from the database once an hour, and besides
    /// once for each point of the history those that changed: whoever asks meanwhile waits for the same reading.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle_digests(&self) -> Result<Arc<BundleDigests>, StoreError> {
        let mut kept = self.inner.digests.lock().await;
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let now = self.inner.sources.now();
        let before = kept.clone();
        let before = before.filter(|kept| now.abs_diff(kept.whole_at) < READ_WHOLE_EVERY);
        let since = match before {
            Some(before) if before.point == latest => return Ok(before.digests),
            Some(before) if history::contains(&mut connection, before.point).await? => Some(before),
            _ => None,
        };
        let from = since.as_ref().map_or(0, |kept| kept.point.revision + 1);
        let changed = digests_of(connection, from).await?;
        let (whole_at, organizations) = match since {
            None => (now, changed),
            Some(before) => (before.whole_at, merged(&before.digests, changed)),
        };
        let digests = Arc::new(BundleDigests {
            revision: latest.revision,
            token: latest.token,
            organizations,
        });
        *kept = Some(KeptDigests {
            point: latest,
            whole_at,
            digests: Arc::clone(&digests),
        });
        Ok(digests)
    }

    /// The same of the organizations that a key reaches.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle_digests_within(
        &self,
        reach: &Reach,
    ) -> Result<Arc<BundleDigests>, StoreError> {
        let Reach::Only(ids) = reach else {
            return self.bundle_digests().await;
        };
        let Bundle {
            revision,
            token,
            organizations,
            ..
        } = self.organization_bundles(ids).await?;
        let point = reach.outward(HistoryPoint { revision, token });
        Ok(Arc::new(BundleDigests {
            revision,
            token: point.token,
            organizations: organizations.into_iter().filter_map(digest_of).collect(),
        }))
    }
}

async fn digests_of(
    connection: Connection,
    from: u64,
) -> Result<Vec<OrganizationDigest>, StoreError> {
    let mut changed = Changed { connection, from };
    let mut digests = Vec::new();
    loop {
        let some = changed.next().await?;
        if some.is_empty() {
            return Ok(digests);
        }
        digests.extend(some.into_iter().filter_map(digest_of));
    }
}

fn digest_of(organization: OrganizationBundle) -> Option<OrganizationDigest> {
    let OrganizationBundle { id, digest, .. } = organization;
    digest.map(|digest| OrganizationDigest { id, digest })
}

/// All digests after some changed. Organizations never go, but with another history.
fn merged(before: &BundleDigests, changed: Vec<OrganizationDigest>) -> Vec<OrganizationDigest> {
    let ids: HashSet<OrganizationId> = changed.iter().map(|each| each.id.clone()).collect();
    let before = before.organizations.iter();
    let unchanged = before.filter(|each| !ids.contains(&each.id)).cloned();
    unchanged.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use crate::store::{Location, Sources, Store};

    use super::*;

    #[tokio::test]
    async fn digests_are_those_of_a_whole_reading_though_only_what_changed_is_read() {
        let store = Store::open(&Location::Memory, Sources::system())
            .await
            .unwrap();
        for name in ["a", "b", "c"] {
            store.create_organization(name).await.unwrap();
            let digests = store.bundle_digests().await.unwrap();
            let whole = store.bundle(HistoryPoint::START).await.unwrap();
            assert_eq!(
                (digests.revision, digests.token),
                (whole.revision, whole.token)
            );
            let mut found = digests.organizations.clone();
            found.sort_by(|one, other| one.id.cmp(&other.id));
            let mut expected: Vec<_> = whole
                .organizations
                .into_iter()
                .filter_map(digest_of)
                .collect();
            expected.sort_by(|one, other| one.id.cmp(&other.id));
            assert_eq!(found, expected);
            let again = store.bundle_digests().await.unwrap();
            assert!(Arc::ptr_eq(&digests, &again));
        }
    }
}
