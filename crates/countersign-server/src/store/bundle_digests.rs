//! The digests of organizations, with which a gateway compares what it has. They are read a few at a time:
//! nobody who waits for a change waits for everything to be read.

use countersign_types::{
    UnixSeconds,
    bundle::{BundleDigests, OrganizationBundle, OrganizationDigest},
    id::OrganizationId,
};

use super::{
    Reach, Store, StoreError, bundle::add_digests, bundle_heads::Heads, connection::Connection,
    history, known_digests::KnownDigests,
};

/// How many organizations a page has at most.
const MOST_IN_PAGE: usize = 1024;
/// From how many bytes on that were read for it a page is full.
const MOST_BYTES_READ: usize = 512 * 1024;

/// Adds the digests of some organizations, and reads those that are not known. Returns how many bytes these
/// have.
async fn add(
    known: &mut KnownDigests,
    some: &mut [OrganizationBundle],
    (heads, connection): (&Heads<'_>, &mut Connection),
    now: UnixSeconds,
) -> Result<usize, StoreError> {
    for each in &mut *some {
        each.digest = known.of(each, now);
    }
    let mut bytes = 0;
    let is_known = |each: &OrganizationBundle| each.digest.is_some();
    for alike in some.chunk_by_mut(|one, other| is_known(one) == is_known(other)) {
        if alike.first().is_some_and(is_known) {
            continue;
        }
        heads.fill(connection, alike).await?;
        bytes += add_digests(alike)?;
        for each in alike {
            known.keep(each, now);
        }
        // Reading takes long, and SQLite is read inline: let others run.
        tokio::task::yield_now().await;
    }
    Ok(bytes)
}

impl Store {
    /// The digest of every organization's bundle that a key reaches. Each is at least as recent as the point
    /// that is named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle_digests(&self, reach: &Reach) -> Result<BundleDigests, StoreError> {
        let mut all = self.bundle_digests_page(reach, None).await?;
        while let Some(next) = all.next.take() {
            let page = self.bundle_digests_page(reach, Some(&next)).await?;
            all.organizations.extend(page.organizations);
            all.next = page.next;
        }
        Ok(all)
    }

    /// A page of them, in the order of their ids: those after an id, or the first. What did not change is read
    /// from the database once an hour, for all who ask.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle_digests_page(
        &self,
        reach: &Reach,
        after: Option<&OrganizationId>,
    ) -> Result<BundleDigests, StoreError> {
        let mut known = self.inner.digests.lock().await;
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        known.follow(&mut connection, latest).await?;
        let now = self.inner.sources.now();
        let (mut organizations, mut bytes) = (Vec::new(), 0);
        let mut heads = Heads::after(reach, after);
        let next = loop {
            let mut some = heads.next(&mut connection).await?;
            let reading = (&heads, &mut connection);
            bytes += add(&mut known, &mut some, reading, now).await?;
            organizations.extend(some.into_iter().filter_map(digest_of));
            let full = bytes >= MOST_BYTES_READ || organizations.len() >= MOST_IN_PAGE;
            let rest = heads.rest();
            if full || rest.is_none() {
                break rest;
            }
        };
        Ok(BundleDigests {
            revision: latest.revision,
            token: reach.outward(latest).token,
            organizations,
            next,
        })
    }
}

fn digest_of(organization: OrganizationBundle) -> Option<OrganizationDigest> {
    let OrganizationBundle { id, digest, .. } = organization;
    digest.map(|digest| OrganizationDigest { id, digest })
}

#[cfg(test)]
mod tests {
    use countersign_types::history::HistoryPoint;

    use crate::store::{Location, Sources, Store};

    use super::*;

    #[tokio::test]
    async fn digests_are_those_of_a_whole_reading_though_only_what_changed_is_read() {
        let store = Store::open(&Location::Memory, Sources::system())
            .await
            .unwrap();
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(
                store
                    .create_organization(name)
                    .await
                    .unwrap()
                    .organization
                    .id,
            );
            ids.sort();
            let digests = store.bundle_digests(&Reach::All).await.unwrap();
            let mut whole = store.bundle(HistoryPoint::START).await.unwrap();
            assert_eq!(
                (digests.revision, digests.token),
                (whole.revision, whole.token)
            );
            let organizations = &mut whole.organizations;
            organizations.sort_by(|one, other| one.id.cmp(&other.id));
            let expected = organizations.drain(..).filter_map(digest_of);
            assert_eq!(digests.organizations, expected.collect::<Vec<_>>());
            let rest = store.bundle_digests_page(&Reach::All, ids.first()).await;
            assert_eq!(rest.unwrap().organizations, digests.organizations[1..]);
            let own = Reach::Only([ids[0].clone()].into());
            let own = store.bundle_digests(&own).await.unwrap();
            assert_eq!(own.organizations, digests.organizations[..1]);
        }
    }
}
