//! The digests of organizations that were computed last.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, digest::Sha256, history::HistoryPoint,
    id::OrganizationId,
};

use super::{StoreError, connection::Connection, history};

/// For how many seconds the digest of an organization that did not change is not computed anew. It is in
/// the end: what has changed without a revision is found by that alone.
const READ_AGAIN_AFTER: UnixSeconds = 60 * 60;

struct Known {
    revision: u64,
    digest: Sha256,
    read_at: UnixSeconds,
}

/// The digests that were computed last.
#[derive(Default)]
pub(super) struct KnownDigests {
    /// They are of the history that this point is in.
    point: HistoryPoint,
    organizations: HashMap<OrganizationId, Known>,
}

impl KnownDigests {
    /// Forgets them if the history is another one by now.
    pub(super) async fn follow(
        &mut self,
        connection: &mut Connection,
        latest: HistoryPoint,
    ) -> Result<(), StoreError> {
        if self.point != latest {
            if !history::contains(connection, self.point).await? {
                self.organizations.clear();
            }
            self.point = latest;
        }
        Ok(())
    }

    /// The digest of an organization, if it was computed since its latest change, and not too long ago.
    pub(super) fn of(&self, organization: &OrganizationBundle, now: UnixSeconds) -> Option<Sha256> {
        let known = self.organizations.get(&organization.id)?;
        let holds = known.revision == organization.revision
            && now.abs_diff(known.read_at) < READ_AGAIN_AFTER;
        holds.then_some(known.digest)
    }

    /// Keeps the digest of an organization, if that has one.
    pub(super) fn keep(&mut self, organization: &OrganizationBundle, now: UnixSeconds) {
        if let Some(digest) = organization.digest {
            let known = Known {
                revision: organization.revision,
                digest,
                read_at: now,
            };
            self.organizations.insert(organization.id.clone(), known);
        }
    }
}
