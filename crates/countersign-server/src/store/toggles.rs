//! Activation: which certificates are active at which scope.

use countersign_types::{
    audit::{AuditCertificate, AuditEvent, AuditProject},
    certificate::{Enforcement, Scope, ScopedCertificate},
    id::CertificateId,
};

use super::{
    Change, StoreError, WriteTx, certificates::find_scoped, projects::Archived, value::params,
};

impl WriteTx {
    /// Activates certificates at a scope, all or none. Duplicates count once; the answer has the order
    /// of the request; the event names only those that changed. One that was active with another
    /// enforcement keeps its position among the scope's anchors.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project or the first certificate that is not there,
    /// [`StoreError::Expired`], [`StoreError::ProjectArchived`].
    pub async fn activate_certificates(
        &mut self,
        scope: &Scope,
        ids: &[CertificateId],
        enforcement: Enforcement,
    ) -> Result<Change<Vec<ScopedCertificate>>, StoreError> {
        let project = self.audit_project(scope, Archived::Refused).await?;
        let mut data = self.scoped_certificates(scope, ids).await?;
        let expired = |(_, certificate): &&(usize, ScopedCertificate)| {
            let end = certificate.certificate_details.expires_at;
            end.is_some_and(|end| end <= self.now)
        };
        if let Some((index, _)) = data.iter().find(expired) {
            return Err(StoreError::Expired { index: *index });
        }
        let shown = (enforcement != Enforcement::default()).then(|| enforcement.into());
        let is_so = |each: &ScopedCertificate| each.active && each.enforcement == shown;
        let mut certificates = Vec::new();
        for (_, certificate) in data.iter_mut().filter(|(_, each)| !is_so(each)) {
            self.upsert_activation(scope, &certificate.id, enforcement)
                .await?;
            certificate.active = true;
            certificate.enforcement.clone_from(&shown);
            certificates.push(audited(certificate));
        }
        let event = AuditEvent::CertificatesActivated {
            project,
            certificates,
            enforcement,
        };
        Ok(toggled(data, event))
    }

    /// Deactivates certificates at a scope, all or none, also in an archived project.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the project or the first certificate that is not there.
    pub async fn deactivate_certificates(
        &mut self,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Change<Vec<ScopedCertificate>>, StoreError> {
        let project = self.audit_project(scope, Archived::Allowed).await?;
        let mut data = self.scoped_certificates(scope, ids).await?;
        let mut certificates = Vec::new();
        for (_, certificate) in data.iter_mut().filter(|(_, each)| each.active) {
            self.delete_activation(scope, &certificate.id).await?;
            certificate.active = false;
            certificate.enforcement = None;
            certificates.push(audited(certificate));
        }
        let event = AuditEvent::CertificatesDeactivated {
            project,
            certificates,
        };
        Ok(toggled(data, event))
    }

    pub(super) async fn audit_project(
        &mut self,
        scope: &Scope,
        archived: Archived,
    ) -> Result<Option<AuditProject>, StoreError> {
        match scope.project() {
            None => Ok(None),
            Some(project) => self.open_project(project, archived).await.map(Some),
        }
    }

    /// The certificates of a request, each once, with its index in the request.
    async fn scoped_certificates(
        &mut self,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Vec<(usize, ScopedCertificate)>, StoreError> {
        let mut found: Vec<(usize, ScopedCertificate)> = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            if found.iter().any(|(_, earlier)| earlier.id == *id) {
                continue;
            }
            let connection = &mut self.connection;
            let certificate = find_scoped(connection, &self.organization, scope, id).await?;
            found.push((index, certificate));
        }
        Ok(found)
    }

    /// Anchors are tried in the order of `activated_at`, so a change of enforcement leaves it alone.
    async fn upsert_activation(
        &mut self,
        scope: &Scope,
        id: &CertificateId,
        enforcement: Enforcement,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO activations (organization_id, project_id, certificate_id, \
                 activated_at, enforcement) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (certificate_id, project_id) \
                 DO UPDATE SET enforcement = excluded.enforcement",
                params![self.organization, scope, id, self.now, enforcement,],
            )
            .await
    }

    async fn delete_activation(
        &mut self,
        scope: &Scope,
        id: &CertificateId,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "DELETE FROM activations WHERE certificate_id = $1 AND project_id = $2",
                params![id, scope],
            )
            .await
    }
}

fn audited(certificate: &ScopedCertificate) -> AuditCertificate {
    AuditCertificate {
        id: certificate.id.clone(),
        name: certificate.name.clone(),
    }
}

/// The answer, and the event if something changed.
fn toggled(
    data: Vec<(usize, ScopedCertificate)>,
    event: AuditEvent,
) -> Change<Vec<ScopedCertificate>> {
    let answer = data
        .into_iter()
        .map(|(_, certificate)| certificate)
        .collect();
    let events = if event.resource_ids().is_empty() {
        Vec::new()
    } else {
        vec![event]
    };
    Change { answer, events }
}
