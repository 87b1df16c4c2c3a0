//! What gateways are answered: what changed after a point of the history, or everything, at once or in pages.

use std::sync::Arc;

use countersign_types::{
    bundle::{Bundle, OrganizationBundle},
    history::HistoryPoint,
    id::OrganizationId,
};

use super::{
    BundleAnswer, BundleRequest, Reach, Store, StoreError,
    bundle::{add_digests, read_all, read_some},
    bundle_heads::Heads,
    bundle_keys::KeysRead,
    history,
    recent_changes::{Seen, Since},
    signal,
};

/// From how many bytes on a page of all organizations is full.
const PAGE_BYTES: usize = 1024 * 1024;

impl Store {
    /// The organizations that changed after a point of the history, each whole, all in one
    /// snapshot. Every organization from the start, and from a point that is not in this history:
    /// it was lost in a failover or before a backup was restored, or is too old to be known still.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle(&self, after: HistoryPoint) -> Result<Bundle, StoreError> {
        match self.bundle_since(after, KeysRead::All).await? {
            Some(changed) => Ok(changed),
            None => self.whole_bundle(&Reach::All).await,
        }
    }

    /// The latest point, as it is now: read once for all who ask at the same time.
    async fn latest(&self) -> Result<HistoryPoint, StoreError> {
        let read = async |_| signal::read_point(&self.inner.database).await;
        self.inner.latest.take((), read).await
    }

    /// The answer to a gateway, as of now; of the time when a point was announced, if one is given.
    pub(super) async fn answer(
        &self,
        request: &BundleRequest,
        announced: Option<HistoryPoint>,
    ) -> Result<Arc<BundleAnswer>, StoreError> {
        let after = request.after;
        if after != HistoryPoint::START {
            let latest = match announced {
                Some(announced) => announced,
                None => self.latest().await?,
            };
            if after == latest {
                return Ok(Arc::new(BundleAnswer::nothing(latest)?));
            }
            let keys = request.keys();
            let read = self.bundle_since(after, keys);
            let answers = &self.inner.answers;
            let changed = answers.get((after, keys), latest, read).await?;
            if let Some(changed) = changed {
                return Ok(changed);
            }
        }
        self.everything(request).await
    }

    /// The answer to a gateway that is sent some organizations only, and up to where that looked.
    pub(super) async fn answer_within(
        &self,
        request: &BundleRequest,
        ids: &[OrganizationId],
    ) -> Result<(Arc<BundleAnswer>, Option<Seen>), StoreError> {
        let (after, reach) = (request.after, &request.reach);
        if after != HistoryPoint::START {
            let database = &self.inner.database;
            let since = self.inner.recent_changes.since(database, after, ids);
            if let Some(since) = since.await? {
                let Since {
                    mut connection,
                    latest,
                    changed,
                    seen,
                } = since;
                let from = after.revision + 1;
                let reading = (from, request.keys());
                let organizations = read_some(&mut connection, &changed, reading).await?;
                let bundle = bundle_of(latest, false, organizations);
                return Ok((Arc::new(BundleAnswer::new(bundle, reach)?), Some(seen)));
            }
        }
        Ok((self.everything(request).await?, None))
    }

    /// Everything, or the first page of it.
    async fn everything(&self, request: &BundleRequest) -> Result<Arc<BundleAnswer>, StoreError> {
        let BundleRequest { reach, paged, .. } = request;
        let whole = if *paged {
            self.bundle_page(reach, None).await?
        } else {
            self.whole_bundle(reach).await?
        };
        Ok(Arc::new(BundleAnswer::new(whole, reach)?))
    }

    /// What changed after a point; nothing if it is not known.
    async fn bundle_since(
        &self,
        after: HistoryPoint,
        keys: KeysRead,
    ) -> Result<Option<Bundle>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let known = after.revision > 0
            && (after == latest || history::contains(&mut connection, after).await?);
        if !known {
            return Ok(None);
        }
        let from = after.revision + 1;
        let organizations = read_all(connection, &Reach::All, (from, keys)).await?;
        Ok(Some(bundle_of(latest, false, organizations)))
    }

    async fn whole_bundle(&self, reach: &Reach) -> Result<Bundle, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let organizations = read_all(connection, reach, (0, KeysRead::All)).await?;
        Ok(bundle_of(latest, true, organizations))
    }

    /// A page of all organizations, in the order of their ids: those after an id, or the first. Each page is of
    /// its own time. Whoever has all of them asks for what changed after the point of the first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle_page(
        &self,
        reach: &Reach,
        after: Option<&OrganizationId>,
    ) -> Result<Bundle, StoreError> {
        let heads = Heads::after(reach, after);
        self.read_page(heads, PAGE_BYTES).await
    }

    async fn read_page(&self, mut heads: Heads<'_>, bytes: usize) -> Result<Bundle, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let (mut organizations, mut read) = (Vec::new(), 0);
        let next = loop {
            let mut some = heads.next(&mut connection).await?;
            heads.fill(&mut connection, &mut some).await?;
            read += add_digests(&mut some)?;
            organizations.extend(some);
            let rest = heads.rest();
            if read >= bytes || rest.is_none() {
                break rest;
            }
            // Reading takes long, and SQLite is read inline: let others run.
            tokio::task::yield_now().await;
        };
        Ok(Bundle {
            next,
            ..bundle_of(latest, true, organizations)
        })
    }

    /// These organizations as they are now, each whole, all in one snapshot; none for an id that
    /// is unknown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn organization_bundles(&self, ids: &[OrganizationId]) -> Result<Bundle, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let organizations = read_some(&mut connection, ids, (0, KeysRead::All)).await?;
        Ok(bundle_of(latest, false, organizations))
    }
}

fn bundle_of(
    point: HistoryPoint,
    complete: bool,
    organizations: Vec<OrganizationBundle>,
) -> Bundle {
    Bundle {
        revision: point.revision,
        token: point.token,
        complete,
        organizations,
        next: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Location, Sources, Store};

    use super::*;

    #[tokio::test]
    async fn pages_are_all_organizations_in_the_order_of_their_ids() {
        let store = Store::open(&Location::Memory, Sources::system())
            .await
            .unwrap();
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            store.create_organization(name).await.unwrap();
        }
        let mut whole = store.bundle(HistoryPoint::START).await.unwrap();
        whole
            .organizations
            .sort_by(|one, other| one.id.cmp(&other.id));
        for (bytes, step, numbers) in [
            (1, 3, vec![3, 3, 1]),
            (1, 7, vec![7, 0]),
            (usize::MAX, 2, vec![7]),
        ] {
            let (mut found, mut pages, mut next) = (Vec::new(), Vec::new(), None);
            loop {
                let heads = Heads::after(&Reach::All, next.as_ref()).by(step);
                let page = store.read_page(heads, bytes).await.unwrap();
                assert!(page.complete && page.point() == whole.point());
                pages.push(page.organizations.len());
                found.extend(page.organizations);
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!((found, pages), (whole.organizations.clone(), numbers));
        }
    }

    #[tokio::test]
    async fn what_changed_is_read_once_for_all_that_ask_until_more_changes() {
        let store = Store::open(&Location::Memory, Sources::system())
            .await
            .unwrap();
        store.create_organization("a").await.unwrap();
        let after = store.bundle(HistoryPoint::START).await.unwrap().point();
        store.create_organization("b").await.unwrap();
        let request = BundleRequest {
            after,
            reach: Reach::All,
            paged: false,
            key_changes: false,
        };
        let first = store.answer(&request, None).await.unwrap();
        let second = store.answer(&request, None).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second) && first.organizations.len() == 1);
        store.create_organization("c").await.unwrap();
        let third = store.answer(&request, None).await.unwrap();
        assert_eq!(third.organizations.len(), 2);
    }
}
