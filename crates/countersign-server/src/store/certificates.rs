//! Trust anchors.

use std::fmt;

use countersign_types::{
    UnixSeconds,
    audit::{AuditCertificate, AuditEvent},
    certificate::{
        Certificate, CertificateDetails, CertificateObject, DeletedCertificate,
        DeletedCertificateObject, Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION, Scope,
        ScopedCertificate, ScopedCertificateObject,
    },
    crl::{CrlMissing, CrlSummary},
    digest::Sha256,
    id::{CertificateId, OrganizationId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    projects,
    row::{FromRow, Row},
    value::params,
};

const LIMIT: u64 = MAX_CERTIFICATES_PER_ORGANIZATION as u64;

const COLUMNS: &str = "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy, t.reported_policy, t.floor, t.reported_floor, t.crl_missing, t.crls, t.crl_entries, t.crl_next_update";
const COLUMNS_AND_PEM: &str = "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy, t.reported_policy, t.floor, t.reported_floor, t.crl_missing, t.crls, t.crl_entries, t.crl_next_update, t.pem";
const FROM: &str = "FROM certificates t WHERE t.organization_id = $1";

const SCOPED_COLUMNS: &str = "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy, t.reported_policy, t.floor, t.reported_floor, \
     t.crl_missing, t.crls, t.crl_entries, t.crl_next_update, a.enforcement";
const SCOPED_FROM: &str = "FROM certificates t LEFT JOIN activations a \
     ON a.certificate_id = t.id AND a.project_id = $2 WHERE t.organization_id = $1";

/// A certificate that was checked and can be a trust anchor.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// The PEM, stored byte for byte.
    pub pem: String,
    /// Its name.
    pub name: Option<String>,
    /// Its CEL policy, already checked.
    pub cel_policy: Option<String>,
    /// `notBefore`, in Unix seconds.
    pub valid_at: UnixSeconds,
    /// `notAfter`, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// SHA-256 of the certificate's DER.
    pub fingerprint: Sha256,
}

impl fmt::Debug for NewCertificate {
    /// Leaves the PEM out, which must never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCertificate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Every certificate of the organization, with whether it is active at the scope.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown project, [`StoreError::UnknownCursor`].
    pub async fn list_certificates(
        &self,
        organization: &OrganizationId,
        scope: &Scope,
        request: &PageRequest,
    ) -> Result<Page<ScopedCertificate>, StoreError> {
        let mut connection = self.list_reader().await?;
        if let Some(project) = scope.project() {
            projects::find(&mut connection, organization, project).await?;
        }
        let listing = Listing {
            columns: SCOPED_COLUMNS,
            from: SCOPED_FROM,
            only: "",
            values: params![organization, scope],
        };
        let (rows, has_more) = listing.entries(&mut connection, request).await?;
        let certificates = rows.into_iter().map(|row| scoped(row, scope)).collect();
        Ok(Page::new(certificates, has_more))
    }

    /// A certificate, with its PEM when `content` is asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_certificate(
        &self,
        organization: &OrganizationId,
        id: &CertificateId,
        content: bool,
    ) -> Result<Certificate, StoreError> {
        let mut connection = self.reader().await?;
        find(&mut connection, organization, id, content).await
    }
}

impl WriteTx {
    /// Stores a certificate. It is active nowhere.
    ///
    /// # Errors
    /// [`StoreError::CertificateLimit`].
    pub async fn upload_certificate(
        &mut self,
        new: NewCertificate,
    ) -> Result<Change<Certificate>, StoreError> {
        let held = self
            .connection
            .number(
                "SELECT count(*) FROM certificates WHERE organization_id = $1",
                params![self.organization],
            )
            .await?;
        if held >= LIMIT {
            return Err(StoreError::CertificateLimit);
        }
        let id = CertificateId::from_random(self.sources().id()?);
        self.insert_certificate(&id, &new).await?;
        let event = AuditEvent::CertificateCreated(AuditCertificate {
            id: id.clone(),
            name: new.name.clone(),
        });
        Ok(Change {
            answer: Certificate {
                object: CertificateObject::Certificate.into(),
                id,
                name: new.name,
                created_at: self.now,
                certificate_details: CertificateDetails {
                    valid_at: Some(new.valid_at),
                    expires_at: Some(new.expires_at),
                    content: None,
                },
                cel_policy: new.cel_policy,
                reported_policy: None,
                refuse_issued_before: None,
                reported_refuse_issued_before: None,
                crl_missing: None,
                crls: None,
                active_at: None,
                usage: None,
            },
            events: vec![event],
        })
    }

    /// Renames a certificate. Without a new name, nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_certificate(
        &mut self,
        id: &CertificateId,
        name: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        let Some(name) = name.filter(|name| certificate.name.as_ref() != Some(name)) else {
            return Ok(Change::none(certificate));
        };
        self.connection
            .execute(
                "UPDATE certificates SET name = $2 WHERE id = $1",
                params![id, name],
            )
            .await?;
        certificate.name = Some(name);
        Ok(updated(certificate))
    }

    /// Sets or removes a certificate's CEL policy, which the caller has checked. One that was only
    /// reported is removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_policy(
        &mut self,
        id: &CertificateId,
        policy: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        if certificate.cel_policy == policy && certificate.reported_policy.is_none() {
            return Ok(Change::none(certificate));
        }
        self.connection
            .execute(
                "UPDATE certificates SET cel_policy = $2, reported_policy = NULL WHERE id = $1",
                params![id, policy],
            )
            .await?;
        certificate.cel_policy = policy;
        certificate.reported_policy = None;
        Ok(updated(certificate))
    }

    /// Sets or removes the CEL policy that is only reported, which the caller has checked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn report_policy(
        &mut self,
        id: &CertificateId,
        policy: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        if certificate.reported_policy == policy {
            return Ok(Change::none(certificate));
        }
        self.connection
            .execute(
                "UPDATE certificates SET reported_policy = $2 WHERE id = $1",
                params![id, policy],
            )
            .await?;
        certificate.reported_policy = policy;
        Ok(updated(certificate))
    }

    /// Deletes a certificate that is active nowhere.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::CertificateInUse`].
    pub async fn delete_certificate(
        &mut self,
        id: &CertificateId,
    ) -> Result<Change<DeletedCertificate>, StoreError> {
        let certificate = find(&mut self.connection, &self.organization, id, true).await?;
        let scopes = self.active_scopes(id).await?;
        if !scopes.is_empty() {
            return Err(StoreError::CertificateInUse { scopes });
        }
        self.delete_crls_of(id).await?;
        self.connection
            .execute("DELETE FROM certificates WHERE id = $1", params![id])
            .await?;
        let event = AuditEvent::CertificateDeleted {
            certificate: AuditCertificate {
                id: id.clone(),
                name: certificate.name,
            },
            pem: certificate.certificate_details.content.unwrap_or_default(),
        };
        Ok(Change {
            answer: DeletedCertificate {
                object: DeletedCertificateObject::Deleted.into(),
                id: id.clone(),
            },
            events: vec![event],
        })
    }

    pub(super) async fn find_certificate(
        &mut self,
        id: &CertificateId,
    ) -> Result<Certificate, StoreError> {
        find(&mut self.connection, &self.organization, id, false).await
    }

    async fn insert_certificate(
        &mut self,
        id: &CertificateId,
        new: &NewCertificate,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO certificates (id, organization_id, name, cel_policy, valid_at, \
                 expires_at, created_at, fingerprint, pem) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                params![
                    id,
                    self.organization,
                    new.name.as_deref(),
                    new.cel_policy.as_deref(),
                    new.valid_at,
                    new.expires_at,
                    self.now,
                    new.fingerprint.as_bytes(),
                    new.pem.as_bytes(),
                ],
            )
            .await
    }

    async fn active_scopes(&mut self, id: &CertificateId) -> Result<Vec<Scope>, StoreError> {
        self.connection
            .query(
                "SELECT project_id FROM activations WHERE certificate_id = $1 ORDER BY project_id",
                params![id],
            )
            .await
    }
}

fn updated(certificate: Certificate) -> Change<Certificate> {
    let event = AuditEvent::CertificateUpdated(AuditCertificate {
        id: certificate.id.clone(),
        name: certificate.name.clone(),
    });
    Change {
        answer: certificate,
        events: vec![event],
    }
}

pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &CertificateId,
    content: bool,
) -> Result<Certificate, StoreError> {
    let listing = Listing {
        columns: if content { COLUMNS_AND_PEM } else { COLUMNS },
        from: FROM,
        only: "",
        values: params![organization],
    };
    let unknown = || StoreError::not_found(Kind::Certificate, id.as_str());
    if !content {
        let found = listing.retrieve(connection, id.as_str()).await?;
        return found.ok_or_else(unknown);
    }
    let found = listing.retrieve::<(Certificate, Vec<u8>)>(connection, id.as_str());
    let (mut certificate, bytes) = found.await?.ok_or_else(unknown)?;
    certificate.certificate_details.content = Some(pem(&bytes)?);
    Ok(certificate)
}

/// The certificate of that id, with whether it is active at the scope.
pub(super) async fn find_scoped(
    connection: &mut Connection,
    organization: &OrganizationId,
    scope: &Scope,
    id: &CertificateId,
) -> Result<ScopedCertificate, StoreError> {
    let listing = Listing {
        columns: SCOPED_COLUMNS,
        from: SCOPED_FROM,
        only: "",
        values: params![organization, scope],
    };
    listing
        .retrieve(connection, id.as_str())
        .await?
        .map(|row| scoped(row, scope))
        .ok_or_else(|| StoreError::not_found(Kind::Certificate, id.as_str()))
}

impl FromRow for Certificate {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: CertificateObject::Certificate.into(),
            id: row.next()?,
            name: row.next()?,
            created_at: row.next()?,
            certificate_details: CertificateDetails {
                valid_at: Some(row.next()?),
                expires_at: Some(row.next()?),
                content: None,
            },
            cel_policy: row.next()?,
            reported_policy: row.next()?,
            refuse_issued_before: row.next()?,
            reported_refuse_issued_before: row.next()?,
            crl_missing: row.next::<Option<CrlMissing>>()?.map(Into::into),
            crls: summary(row)?,
            active_at: None,
            usage: None,
        })
    }
}

/// The lists of a certificate together, by their number, their entries and when the first of them ends.
fn summary(row: &mut Row<'_>) -> Result<Option<CrlSummary>, StoreError> {
    let (lists, entries) = (row.next()?, row.next()?);
    let next_update: Option<u64> = row.next()?;
    Ok(next_update.map(|next_update| CrlSummary {
        lists,
        entries,
        next_update,
    }))
}

pub(super) fn pem(bytes: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| StoreError::Corrupt("a PEM that is not UTF-8".to_owned()))
}

/// A certificate, and how it is active at a scope.
fn scoped(
    (certificate, enforcement): (Certificate, Option<Enforcement>),
    scope: &Scope,
) -> ScopedCertificate {
    ScopedCertificate {
        object: ScopedCertificateObject::at(scope).into(),
        id: certificate.id,
        name: certificate.name,
        created_at: certificate.created_at,
        certificate_details: certificate.certificate_details,
        active: enforcement.is_some(),
        enforcement: enforcement
            .filter(|found| *found != Enforcement::default())
            .map(Into::into),
        cel_policy: certificate.cel_policy,
        reported_policy: certificate.reported_policy,
        refuse_issued_before: certificate.refuse_issued_before,
        reported_refuse_issued_before: certificate.reported_refuse_issued_before,
        crl_missing: certificate.crl_missing,
        crls: certificate.crls,
        active_at: None,
        usage: None,
    }
}
