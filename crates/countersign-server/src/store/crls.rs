//! Revocation lists of trust anchors: the latest of each CA.

use std::sync::Arc;

use countersign_types::{
    audit::{AccessTaken, AuditEvent, CrlChange},
    certificate::Certificate,
    crl::{Crl, CrlMissing, CrlObject, DeletedCrl, DeletedCrlObject, MAX_CRLS_PER_CERTIFICATE},
    digest::Sha256,
    id::{CertificateId, CrlId, OrganizationId},
    page::Page,
    revoked_set::RevokedSet,
};
use countersign_verify::crl::{Kept, RevocationList};

use super::{
    Change, Kind, PageRequest, Reach, Store, StoreError, WriteTx, certificates,
    connection::Connection,
    crl_sources::CrlSource,
    listing::Listing,
    revoked_sets,
    row::{FromRow, Row},
    value::{Value, params},
};

const LIMIT: u64 = MAX_CRLS_PER_CERTIFICATE as u64;

const COLUMNS: &str = "t.id, t.certificate_id, t.issuer_name, t.issuer, t.number, t.this_update, t.next_update, \
     t.entries, t.only_user_certificates, t.sha256, t.created_at, t.updated_at, t.updated_by, t.url, t.every, \
     t.fetched_at, t.last_error";

impl Store {
    /// The revocation lists of a certificate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::UnknownCursor`].
    pub async fn list_crls(
        &self,
        organization: &OrganizationId,
        certificate: &CertificateId,
        request: &PageRequest,
    ) -> Result<Page<Crl>, StoreError> {
        let mut connection = self.list_reader().await?;
        certificates::find(&mut connection, organization, certificate, false).await?;
        let found = crls(params![organization, certificate])
            .entries(&mut connection, request)
            .await?;
        let (data, has_more) = found;
        Ok(Page::new(data, has_more))
    }

    /// A revocation list of a certificate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_crl(
        &self,
        organization: &OrganizationId,
        certificate: &CertificateId,
        id: &CrlId,
    ) -> Result<Crl, StoreError> {
        find(&mut self.reader().await?, organization, certificate, id).await
    }
}

impl WriteTx {
    /// Adds a revocation list that was read for this certificate, or puts it in the place of its CA's earlier one.
    /// The same list once more changes nothing. From now on it is fetched from the source, if one is given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::CrlRefused`], [`StoreError::CrlLimit`].
    pub async fn add_crl(
        &mut self,
        certificate: &CertificateId,
        list: &RevocationList,
        source: Option<&CrlSource>,
    ) -> Result<Change<Crl>, StoreError> {
        let anchor = self.find_certificate(certificate).await?;
        let issuer = list.issuer().sha256();
        let kept: Option<KeptCrl> = self
            .connection
            .find(
                "SELECT id, number, this_update, distribution_point, sha256, created_at FROM crls \
                 WHERE certificate_id = $1 AND issuer = $2",
                params![certificate, issuer],
            )
            .await?;
        let change = match &kept {
            Some(kept) if kept.sha256 == list.sha256() && source.is_none() => {
                let connection = &mut self.connection;
                let same = find(connection, &self.organization, certificate, &kept.id).await?;
                return Ok(Change::none(same));
            }
            Some(kept) => {
                list.check_follows(&kept.kept)
                    .map_err(StoreError::CrlRefused)?;
                CrlChange::Replaced
            }
            None => {
                self.check_crl_limit(certificate).await?;
                CrlChange::Added
            }
        };
        self.keep_set(list.revoked()).await?;
        let crl = self.write_crl(certificate, list, kept.as_ref()).await?;
        self.count_crls(certificate).await?;
        if let Some(source) = source {
            self.set_crl_source(&crl.id, source).await?;
        }
        let crl = find(
            &mut self.connection,
            &self.organization,
            certificate,
            &crl.id,
        )
        .await?;
        Ok(changed(anchor, crl.clone(), change, crl))
    }

    /// Deletes a revocation list: what it names is not revoked any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_crl(
        &mut self,
        certificate: &CertificateId,
        id: &CrlId,
    ) -> Result<Change<DeletedCrl>, StoreError> {
        let anchor = self.find_certificate(certificate).await?;
        let crl = find(&mut self.connection, &self.organization, certificate, id).await?;
        self.connection
            .execute("DELETE FROM crls WHERE id = $1", params![id])
            .await?;
        self.count_crls(certificate).await?;
        let answer = DeletedCrl {
            object: DeletedCrlObject::Deleted.into(),
            id: id.clone(),
            deleted: true,
        };
        Ok(changed(anchor, crl, CrlChange::Deleted, answer))
    }

    /// Sets what a missing list means for a certificate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_crl_missing(
        &mut self,
        id: &CertificateId,
        crl_missing: Option<CrlMissing>,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        let wanted = crl_missing.map(Into::into);
        if certificate.crl_missing == wanted {
            return Ok(Change::none(certificate));
        }
        self.connection
            .execute(
                "UPDATE certificates SET crl_missing = $2 WHERE id = $1",
                params![id, crl_missing],
            )
            .await?;
        certificate.crl_missing = wanted;
        let event = AuditEvent::AccessTaken(AccessTaken::CrlMissing {
            id: certificate.id.clone(),
            name: certificate.name.clone(),
            crl_missing,
        });
        Ok(Change {
            answer: certificate,
            events: vec![event],
        })
    }

    /// Deletes every list of a certificate that is itself deleted.
    pub(super) async fn delete_crls_of(&mut self, id: &CertificateId) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM crls WHERE certificate_id = $1", params![id])
            .await?;
        self.count_crls(id).await
    }

    async fn check_crl_limit(&mut self, certificate: &CertificateId) -> Result<(), StoreError> {
        let held = self
            .connection
            .number(
                "SELECT count(*) FROM crls WHERE certificate_id = $1",
                params![certificate],
            )
            .await?;
        if held < LIMIT {
            Ok(())
        } else {
            Err(StoreError::CrlLimit)
        }
    }

    async fn write_crl(
        &mut self,
        certificate: &CertificateId,
        list: &RevocationList,
        kept: Option<&KeptCrl>,
    ) -> Result<Crl, StoreError> {
        let crl = Crl {
            object: CrlObject::Crl.into(),
            id: match kept {
                Some(kept) => kept.id.clone(),
                None => CrlId::from_random(self.sources().id()?),
            },
            certificate_id: certificate.clone(),
            issuer: list.issuer_name().to_owned(),
            issuer_sha256: list.issuer().sha256(),
            number: list.number().map(|number| number.to_string()),
            this_update: list.this_update(),
            next_update: list.next_update(),
            entries: entries(list),
            only_user_certificates: list.only_user_certificates(),
            sha256: list.sha256(),
            created_at: kept.map_or(self.now, |kept| kept.created_at),
            updated_at: self.now,
            updated_by: self.actor_key(),
            url: None,
            interval: None,
            fetched_at: None,
            last_error: None,
        };
        let sql = if kept.is_some() {
            "UPDATE crls SET issuer_name = $5, number = $6, this_update = $7, next_update = $8, \
             distribution_point = $9, only_user_certificates = $10, entries = $11, sha256 = $12, revoked = $13, \
             updated_at = $15, updated_by = $16 \
             WHERE id = $1 AND organization_id = $2 AND certificate_id = $3 AND issuer = $4 AND created_at = $14"
        } else {
            "INSERT INTO crls (id, organization_id, certificate_id, issuer, issuer_name, number, this_update, \
             next_update, distribution_point, only_user_certificates, entries, sha256, revoked, created_at, \
             updated_at, updated_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        };
        self.connection
            .execute(
                sql,
                params![
                    crl.id,
                    self.organization,
                    certificate,
                    crl.issuer_sha256,
                    crl.issuer,
                    crl.number.as_deref(),
                    crl.this_update,
                    crl.next_update,
                    list.kept().distribution_point,
                    i64::from(crl.only_user_certificates),
                    crl.entries,
                    crl.sha256,
                    list.revoked().sha256(),
                    crl.created_at,
                    crl.updated_at,
                    crl.updated_by,
                ],
            )
            .await?;
        Ok(crl)
    }

    /// Sums up the lists of the certificate and the organization, and lets go of sets that no list has any more.
    async fn count_crls(&mut self, certificate: &CertificateId) -> Result<(), StoreError> {
        self.connection
            .execute(
                "UPDATE certificates SET crls = (SELECT count(*) FROM crls WHERE certificate_id = $1), \
                 crl_entries = (SELECT coalesce(CAST(sum(entries) AS BIGINT), 0) FROM crls \
                 WHERE certificate_id = $1), \
                 crl_next_update = (SELECT min(next_update) FROM crls WHERE certificate_id = $1) WHERE id = $1",
                params![certificate],
            )
            .await?;
        self.connection
            .execute(
                "UPDATE organizations SET crls = \
                 (SELECT count(*) FROM crls WHERE organization_id = $1) WHERE id = $1",
                params![self.organization],
            )
            .await?;
        self.connection
            .execute(
                "DELETE FROM revoked_sets WHERE organization_id = $1 AND sha256 NOT IN \
                 (SELECT revoked FROM crls WHERE organization_id = $1)",
                params![self.organization],
            )
            .await?;
        Ok(())
    }
}

fn entries(list: &RevocationList) -> u64 {
    u64::try_from(list.revoked().len()).unwrap_or(u64::MAX)
}

fn changed<T>(anchor: Certificate, crl: Crl, change: CrlChange, answer: T) -> Change<T> {
    let event = AuditEvent::AccessTaken(AccessTaken::Crl {
        id: anchor.id,
        name: anchor.name,
        crl: Box::new(crl),
        change,
    });
    Change {
        answer,
        events: vec![event],
    }
}

/// What the next list of a CA is compared with.
struct KeptCrl {
    id: CrlId,
    kept: Kept,
    sha256: Sha256,
    created_at: u64,
}

impl FromRow for KeptCrl {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let id = row.next()?;
        let number: Option<String> = row.next()?;
        let number = number.map(|text| text.parse());
        let number = number.transpose().map_err(|_| {
            StoreError::Corrupt("a number of a revocation list that is none".to_owned())
        })?;
        Ok(Self {
            id,
            kept: Kept {
                number,
                this_update: row.next()?,
                distribution_point: row.next()?,
            },
            sha256: row.next()?,
            created_at: row.next()?,
        })
    }
}

const fn crls<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM crls t WHERE t.organization_id = $1 AND t.certificate_id = $2",
        only: "",
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    certificate: &CertificateId,
    id: &CrlId,
) -> Result<Crl, StoreError> {
    crls(params![organization, certificate])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Crl, id.as_str()))
}

impl FromRow for Crl {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: CrlObject::Crl.into(),
            id: row.next()?,
            certificate_id: row.next()?,
            issuer: row.next()?,
            issuer_sha256: row.next()?,
            number: row.next()?,
            this_update: row.next()?,
            next_update: row.next()?,
            entries: row.next()?,
            only_user_certificates: row.next::<i64>()? != 0,
            sha256: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
            updated_by: row.next()?,
            url: row.next()?,
            interval: row.next()?,
            fetched_at: row.next()?,
            last_error: row.next()?,
        })
    }
}

impl Store {
    /// The set of a digest, if a list of an organization within reach has it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn revoked_set(
        &self,
        reach: &Reach,
        sha256: Sha256,
    ) -> Result<Arc<RevokedSet>, StoreError> {
        let mut connection = self.reader().await?;
        let owners: Vec<OrganizationId> = connection
            .query(
                "SELECT organization_id FROM revoked_sets WHERE sha256 = $1",
                params![sha256],
            )
            .await?;
        let owner = owners.into_iter().find(|owner| reach.includes(owner));
        let unknown = || StoreError::not_found(Kind::RevokedSet, sha256.to_string());
        let owner = owner.ok_or_else(unknown)?;
        let found = revoked_sets::load(&mut connection, &self.inner.sets, &owner, sha256).await?;
        found.ok_or_else(unknown)
    }
}

impl WriteTx {
    /// Keeps a set, unless the organization has it.
    pub(super) async fn keep_set(&mut self, set: &Arc<RevokedSet>) -> Result<(), StoreError> {
        let set = self.store.inner.sets.add(Arc::clone(set));
        let sha256 = set.sha256();
        let held = self
            .connection
            .number(
                "SELECT count(*) FROM revoked_sets WHERE organization_id = $1 AND sha256 = $2",
                params![self.organization, sha256],
            )
            .await?;
        if held == 0 {
            self.connection
                .execute(
                    "INSERT INTO revoked_sets (organization_id, sha256, records) VALUES ($1, $2, $3)",
                    params![self.organization, sha256, set.as_bytes()],
                )
                .await?;
        }
        Ok(())
    }
}
