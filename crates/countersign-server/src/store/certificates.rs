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
    digest::Sha256,
    id::{CertificateId, OrganizationId, ProjectId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    projects,
    value::{Row, Value},
};

const LIMIT: u64 = MAX_CERTIFICATES_PER_ORGANIZATION as u64;

const COLUMNS: &str = "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy";
const COLUMNS_AND_PEM: &str =
    "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy, t.pem";
const FROM: &str = "FROM certificates t WHERE t.organization_id = $1";

const SCOPED_COLUMNS: &str = "t.id, t.name, t.created_at, t.valid_at, t.expires_at, t.cel_policy, \
     a.enforcement";
const SCOPED_FROM: &str = "FROM certificates t LEFT JOIN activations a \
     ON a.certificate_id = t.id AND a.project_id = $2 WHERE t.organization_id = $1";

/// A certificate that was judged fit to be an anchor.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// The PEM, kept byte for byte.
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
    /// Leaves the PEM out: a body never reaches a log.
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
        let mut connection = self.reader().await?;
        if let Some(project) = scope.project() {
            projects::find(&mut connection, organization, project).await?;
        }
        let listing = Listing {
            columns: SCOPED_COLUMNS,
            from: SCOPED_FROM,
            only: "",
            values: &[Value::text(organization), Value::Text(scope_id(scope))],
        };
        listing
            .page(&mut connection, request, |row| scoped(row, scope))
            .await
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
    /// Keeps a certificate, active nowhere.
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
                &[Value::text(&self.organization)],
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
                object: CertificateObject::Certificate,
                id,
                name: new.name,
                created_at: self.now,
                certificate_details: CertificateDetails {
                    valid_at: new.valid_at,
                    expires_at: new.expires_at,
                    content: None,
                },
                cel_policy: new.cel_policy,
                usage: None,
            },
            events: vec![event],
        })
    }

    /// Renames a certificate. Without a name, or with the one that it has, nothing changes.
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
                &[Value::text(id), Value::Text(&name)],
            )
            .await?;
        certificate.name = Some(name);
        Ok(updated(certificate))
    }

    /// Sets or removes a certificate's CEL policy, which the caller has checked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn update_policy(
        &mut self,
        id: &CertificateId,
        policy: Option<String>,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        if certificate.cel_policy == policy {
            return Ok(Change::none(certificate));
        }
        self.connection
            .execute(
                "UPDATE certificates SET cel_policy = $2 WHERE id = $1",
                &[Value::text(id), Value::optional_text(policy.as_deref())],
            )
            .await?;
        certificate.cel_policy = policy;
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
        self.connection
            .execute("DELETE FROM certificates WHERE id = $1", &[Value::text(id)])
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
                object: DeletedCertificateObject::Deleted,
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
                &[
                    Value::text(id),
                    Value::text(&self.organization),
                    Value::optional_text(new.name.as_deref()),
                    Value::optional_text(new.cel_policy.as_deref()),
                    Value::moment(new.valid_at),
                    Value::moment(new.expires_at),
                    Value::moment(self.now),
                    Value::Bytes(new.fingerprint.as_bytes()),
                    Value::Bytes(new.pem.as_bytes()),
                ],
            )
            .await
    }

    async fn active_scopes(&mut self, id: &CertificateId) -> Result<Vec<Scope>, StoreError> {
        self.connection
            .query(
                "SELECT project_id FROM activations WHERE certificate_id = $1 ORDER BY project_id",
                &[Value::text(id)],
                |row| Ok(Scope::from(row.parse_unless_empty(0)?)),
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

/// How a scope is written in `activations`.
pub(super) fn scope_id(scope: &Scope) -> &str {
    scope.project().map_or("", ProjectId::as_str)
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
        values: &[Value::text(organization)],
    };
    listing
        .retrieve(connection, id.as_str(), |row| read(row, content))
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Certificate, id.as_str()))
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
        values: &[Value::text(organization), Value::Text(scope_id(scope))],
    };
    listing
        .retrieve(connection, id.as_str(), |row| scoped(row, scope))
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Certificate, id.as_str()))
}

fn read(row: &Row<'_>, content: bool) -> Result<Certificate, StoreError> {
    Ok(Certificate {
        object: CertificateObject::Certificate,
        id: row.parse(0)?,
        name: row.optional_text(1)?.map(str::to_owned),
        created_at: row.moment(2)?,
        certificate_details: CertificateDetails {
            valid_at: row.moment(3)?,
            expires_at: row.moment(4)?,
            content: content.then(|| pem(row, 6)).transpose()?,
        },
        cel_policy: row.optional_text(5)?.map(str::to_owned),
        usage: None,
    })
}

pub(super) fn pem(row: &Row<'_>, column: usize) -> Result<String, StoreError> {
    String::from_utf8(row.bytes(column)?.to_vec())
        .map_err(|_| StoreError::Corrupt("a PEM that is not UTF-8".to_owned()))
}

fn scoped(row: &Row<'_>, scope: &Scope) -> Result<ScopedCertificate, StoreError> {
    let certificate = read(row, false)?;
    let enforcement: Option<Enforcement> = row.optional_parse(6)?;
    Ok(ScopedCertificate {
        object: ScopedCertificateObject::at(scope),
        id: certificate.id,
        name: certificate.name,
        created_at: certificate.created_at,
        certificate_details: certificate.certificate_details,
        active: enforcement.is_some(),
        enforcement: enforcement.filter(|found| *found != Enforcement::default()),
        cel_policy: certificate.cel_policy,
        usage: None,
    })
}
