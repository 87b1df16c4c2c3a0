//! Where revocation lists are fetched from, and what came of it last. That is no change of an organization: only a
//! list that comes of it is.

use std::collections::HashSet;

use countersign_types::{
    UnixSeconds,
    crl::Crl,
    digest::Sha256,
    id::{CertificateId, CrlId, OrganizationId},
};
use countersign_verify::crl::RevocationList;

use super::{
    Change, Store, StoreError, WriteTx, certificates,
    row::{FromRow, Row},
    value::params,
};

/// How many lists are looked at to find some that are to be fetched, of different organizations.
const LOOKED_AT: u32 = 64;

/// Where a list is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlSource {
    /// The URL.
    pub url: String,
    /// How often, in seconds.
    pub interval: u64,
    /// The certificates of the CAs between the list's issuer and the anchor, in PEM.
    pub issuer_certificates: Option<String>,
    /// `ETag` of the answer that brought the list.
    pub etag: Option<String>,
    /// `Last-Modified` of that answer.
    pub last_modified: Option<String>,
}

/// A list that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCrl {
    /// Whose it is.
    pub organization: OrganizationId,
    /// The anchor.
    pub certificate: CertificateId,
    /// The list.
    pub id: CrlId,
    /// Its CA: the SHA-256 of the name and the key.
    pub issuer: Sha256,
    /// The anchor's PEM.
    pub pem: String,
    /// Where it is fetched from.
    pub source: CrlSource,
    due_at: UnixSeconds,
}

impl Store {
    /// Some of the lists that are to be fetched, those that are due longest first, one of an organization that is not
    /// among the busy. For so many seconds, no other node gets them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn claim_due_crls(
        &self,
        lease: UnixSeconds,
        busy: &HashSet<OrganizationId>,
        most: usize,
    ) -> Result<Vec<DueCrl>, StoreError> {
        let now = self.inner.sources.now();
        let mut connection = self.reader().await?;
        let due: Vec<DueCrl> = connection
            .query(
                "SELECT l.organization_id, l.certificate_id, l.id, l.issuer, c.pem, l.url, l.every, l.issuer_certificates, \
                 l.etag, l.last_modified, l.due_at \
                 FROM crls l JOIN certificates c ON c.id = l.certificate_id \
                 WHERE l.due_at <= $1 AND NOT EXISTS (SELECT 1 FROM crls e \
                 WHERE e.organization_id = l.organization_id AND e.due_at <= $1 \
                 AND (e.due_at < l.due_at OR (e.due_at = l.due_at AND e.seq < l.seq))) \
                 ORDER BY l.due_at, l.seq LIMIT $2",
                params![now, LOOKED_AT],
            )
            .await?;
        drop(connection);
        let mut claimed = Vec::new();
        let idle = due
            .into_iter()
            .filter(|each| !busy.contains(&each.organization));
        for each in idle.take(most) {
            let mut connection = self.inner.database.transaction().await?;
            let taken = connection
                .execute(
                    "UPDATE crls SET due_at = $3 WHERE id = $1 AND due_at = $2",
                    params![each.id, each.due_at, now + lease],
                )
                .await?;
            connection.commit("COMMIT", || ()).await?;
            if taken == 1 {
                claimed.push(each);
            }
        }
        Ok(claimed)
    }

    /// Notes what came of a fetch: nothing, or why the kept list stays; and when the next is due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn note_fetched_crl(
        &self,
        due: &DueCrl,
        error: Option<&str>,
        next: UnixSeconds,
    ) -> Result<(), StoreError> {
        let fetched_at = error.is_none().then(|| self.inner.sources.now());
        let mut connection = self.inner.database.transaction().await?;
        connection
            .execute(
                "UPDATE crls SET last_error = $2, due_at = $3, fetched_at = coalesce($4, fetched_at) \
                 WHERE id = $1 AND url IS NOT NULL",
                params![due.id, error, next, fetched_at],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }
}

impl WriteTx {
    /// Puts a list that was fetched in the place of the one that it was fetched for; nothing if that is gone, or is
    /// fetched from elsewhere now.
    ///
    /// # Errors
    /// As [`Self::add_crl`].
    pub async fn replace_fetched_crl(
        &mut self,
        due: &DueCrl,
        list: &RevocationList,
        source: &CrlSource,
    ) -> Result<Option<Change<Crl>>, StoreError> {
        let url: Option<Option<String>> = self
            .connection
            .find(
                "SELECT url FROM crls WHERE id = $1 AND organization_id = $2",
                params![due.id, self.organization],
            )
            .await?;
        if url.flatten().as_deref() != Some(due.source.url.as_str()) {
            return Ok(None);
        }
        let mut change = self.add_crl(&due.certificate, list, None).await?;
        if change.events.is_empty() {
            return Ok(None);
        }
        self.set_crl_source(&due.id, source).await?;
        change.answer.fetched_at = Some(self.now);
        Ok(Some(change))
    }

    /// Sets where a list is fetched from from now on.
    pub(super) async fn set_crl_source(
        &mut self,
        id: &CrlId,
        source: &CrlSource,
    ) -> Result<(), StoreError> {
        self.connection
            .execute(
                "UPDATE crls SET url = $2, every = $3, issuer_certificates = $4, etag = $5, last_modified = $6, \
                 due_at = $7, fetched_at = $8, last_error = NULL WHERE id = $1",
                params![
                    id,
                    source.url,
                    source.interval,
                    source.issuer_certificates.as_deref(),
                    source.etag.as_deref(),
                    source.last_modified.as_deref(),
                    self.now + source.interval,
                    self.now,
                ],
            )
            .await?;
        Ok(())
    }
}

impl FromRow for DueCrl {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            organization: row.next()?,
            certificate: row.next()?,
            id: row.next()?,
            issuer: row.next()?,
            pem: certificates::pem(row.next()?)?,
            source: CrlSource {
                url: row.next()?,
                interval: row.next()?,
                issuer_certificates: row.next()?,
                etag: row.next()?,
                last_modified: row.next()?,
            },
            due_at: row.next()?,
        })
    }
}
