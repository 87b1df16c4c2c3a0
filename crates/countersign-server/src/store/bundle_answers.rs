//! What gateways are answered: what changed after a point of the history, or everything, at once or in pages.

use std::sync::Arc;

use countersign_types::{
    bundle::{Bundle, OrganizationBundle},
    history::HistoryPoint,
    id::OrganizationId,
};

use super::{
    BundleAnswer, BundleRequest, Reach, Store, StoreError,
    bundle::{Order, add_digests, fill, read_all, read_some},
    history,
    value::params,
};

/// How large a page of all organizations is.
const PAGE: PageSize = PageSize {
    bytes: 4 * 1024 * 1024,
    step: 64,
};

/// From how many bytes on a page is full, and how many organizations it grows by.
#[derive(Clone, Copy)]
struct PageSize {
    bytes: usize,
    step: u32,
}

impl Store {
    /// The organizations that changed after a point of the history, each whole, all in one
    /// snapshot. Every organization from the start, and from a point that is not in this history:
    /// it was lost in a failover or before a backup was restored, or is too old to be known still.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle(&self, after: HistoryPoint) -> Result<Bundle, StoreError> {
        match self.bundle_since(after, &Reach::All).await? {
            Some(changed) => Ok(changed),
            None => self.whole_bundle(&Reach::All).await,
        }
    }

    /// The answer to a gateway, as of now.
    pub(super) async fn answer(
        &self,
        request: &BundleRequest,
    ) -> Result<Arc<BundleAnswer>, StoreError> {
        let BundleRequest {
            after,
            reach,
            paged,
        } = request;
        let latest = {
            let mut connection = self.reader().await?;
            history::read(&mut connection).await?
        };
        let changed = if *after == HistoryPoint::START {
            None
        } else if *after == latest {
            let nothing = bundle_of(latest, false, Vec::new());
            Some(Arc::new(BundleAnswer::new(nothing, reach)?))
        } else if *reach == Reach::All {
            let read = self.bundle_since(*after, reach);
            self.inner.answers.get(*after, latest, read).await?
        } else {
            let read = self.bundle_since(*after, reach).await?;
            read.map(|bundle| BundleAnswer::new(bundle, reach).map(Arc::new))
                .transpose()?
        };
        if let Some(changed) = changed {
            return Ok(changed);
        }
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
        reach: &Reach,
    ) -> Result<Option<Bundle>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let known = after.revision > 0
            && (after == latest || history::contains(&mut connection, after).await?);
        if !known {
            return Ok(None);
        }
        let from = after.revision + 1;
        let organizations = read_all(connection, reach, from).await?;
        Ok(Some(bundle_of(latest, false, organizations)))
    }

    async fn whole_bundle(&self, reach: &Reach) -> Result<Bundle, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let organizations = read_all(connection, reach, 0).await?;
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
        self.read_page(reach, after, PAGE).await
    }

    async fn read_page(
        &self,
        reach: &Reach,
        after: Option<&OrganizationId>,
        size: PageSize,
    ) -> Result<Bundle, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let latest = history::read(&mut connection).await?;
        let Reach::All = reach else {
            let organizations = read_all(connection, reach, 0).await?;
            return Ok(bundle_of(latest, true, organizations));
        };
        let (mut organizations, mut bytes) = (Vec::new(), 0);
        let mut last = after.map_or("", OrganizationId::as_str).to_owned();
        let mut next = None;
        while bytes < size.bytes {
            let mut some: Vec<OrganizationBundle> = connection
                .query(
                    "SELECT id, revision FROM organizations WHERE id > $1 ORDER BY id LIMIT $2",
                    params![last, size.step],
                )
                .await?;
            fill(&mut connection, &mut some, Order::Ids).await?;
            bytes += add_digests(&mut some)?;
            next = some.last().map(|last| last.id.clone());
            if let Some(id) = &next {
                id.as_str().clone_into(&mut last);
            }
            let is_last = some.len() < usize::try_from(size.step).unwrap_or(usize::MAX);
            organizations.extend(some);
            if is_last {
                next = None;
                break;
            }
            tokio::task::yield_now().await;
        }
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
        let organizations = read_some(&mut connection, ids, 0).await?;
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
            let size = PageSize { bytes, step };
            let (mut found, mut pages, mut next) = (Vec::new(), Vec::new(), None);
            loop {
                let page = store.read_page(&Reach::All, next.as_ref(), size);
                let page = page.await.unwrap();
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
        };
        let first = store.answer(&request).await.unwrap();
        let second = store.answer(&request).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second) && first.organizations.len() == 1);
        store.create_organization("c").await.unwrap();
        let third = store.answer(&request).await.unwrap();
        assert_eq!(third.organizations.len(), 2);
    }
}
