//! Rotations, in which a new trust anchor replaces an old one: reading and starting them.

use countersign_types::{
    audit::{AuditCertificate, AuditEvent, AuditRotation},
    certificate::{Certificate, Enforcement, Scope},
    id::{CertificateId, OrganizationId, ProjectId, RotationId},
    page::Page,
    rotation::{Rotation, RotationObject, RotationScope, RotationStatus},
};

use super::{
    Change, Kind, PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    projects::Archived,
    row::{FromRow, Row, word},
    value::{Value, params},
};

/// A rotation to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRotation {
    /// The old anchor.
    pub old: CertificateId,
    /// The new anchor, a different one.
    pub new: CertificateId,
    /// Only at these projects; `None` means wherever the old one is active.
    pub projects: Option<Vec<ProjectId>>,
    /// How the new one is activated. Where the old one is only reported, the new one is too.
    pub enforcement: Enforcement,
}

/// A scope of a rotation as it is stored, with how the anchors are active there now.
pub(super) struct StoredScope {
    pub(super) scope: Scope,
    pub(super) old: Option<Enforcement>,
    pub(super) new: Option<Enforcement>,
    pub(super) new_before: Option<Enforcement>,
    pub(super) new_set: Option<Enforcement>,
}

impl Store {
    /// The rotations of an organization.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_rotations(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<Rotation>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let values = params![organization];
        let listing = listing(values);
        let mut page: Page<Rotation> = listing.page(&mut connection, request).await?;
        for rotation in &mut page.data {
            fill(&mut connection, rotation).await?;
        }
        Ok(page)
    }

    /// A rotation, without its progress.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_rotation(
        &self,
        organization: &OrganizationId,
        id: &RotationId,
    ) -> Result<Rotation, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        find(&mut connection, organization, id).await
    }
}

impl WriteTx {
    /// Starts a rotation: activates the new anchor next to the old one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotActive`] where the old one is not active,
    /// [`StoreError::RotationInProgress`] of either, [`StoreError::Expired`] of the new one (index
    /// 0), [`StoreError::ProjectArchived`].
    pub async fn start_rotation(
        &mut self,
        new: NewRotation,
    ) -> Result<Change<Rotation>, StoreError> {
        let old = self.find_certificate(&new.old).await?;
        let certificate = self.find_certificate(&new.new).await?;
        let end = certificate.certificate_details.expires_at;
        if end.is_some_and(|end| end <= self.now) {
            return Err(StoreError::Expired { index: 0 });
        }
        self.refuse_second(&new).await?;
        let scopes = self.scopes_of(&new).await?;
        let id = RotationId::from_random(self.sources().id()?);
        self.insert_rotation(&id, &new).await?;
        let mut events = Vec::new();
        for (scope, old_enforcement) in scopes {
            let before = self.enforcement_at(&scope, &new.new).await?;
            let wanted = match old_enforcement {
                Enforcement::Enforce => new.enforcement,
                Enforcement::Report => Enforcement::Report,
            };
            let is_so = before == Some(Enforcement::Enforce) || before == Some(wanted);
            if !is_so {
                let ids = [new.new.clone()];
                let activated = self.activate_certificates(&scope, &ids, wanted).await?;
                events.extend(activated.events);
            }
            let set = (!is_so).then_some(wanted);
            self.insert_rotation_scope(&id, &scope, before, set).await?;
        }
        let started = RotationStatus::InProgress;
        let certificates = [Some(&old), Some(&certificate)];
        events.insert(0, rotated(&id, started, certificates, [&new.old, &new.new]));
        let answer = self.find_rotation(&id).await?;
        Ok(Change { answer, events })
    }

    pub(super) async fn find_rotation(&mut self, id: &RotationId) -> Result<Rotation, StoreError> {
        find(&mut self.connection, &self.organization, id).await
    }

    pub(super) async fn rotation_scopes(
        &mut self,
        rotation: &Rotation,
    ) -> Result<Vec<StoredScope>, StoreError> {
        scopes(&mut self.connection, rotation).await
    }

    /// The revision of the organization's latest change.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn organization_revision(&mut self) -> Result<u64, StoreError> {
        self.connection
            .number(
                "SELECT revision FROM organizations WHERE id = $1",
                params![self.organization],
            )
            .await
    }

    /// How an anchor is active at a scope.
    async fn enforcement_at(
        &mut self,
        scope: &Scope,
        id: &CertificateId,
    ) -> Result<Option<Enforcement>, StoreError> {
        self.connection
            .find(
                "SELECT enforcement FROM activations WHERE certificate_id = $1 AND project_id = $2",
                params![id, scope],
            )
            .await
    }

    /// Refuses a second rotation of either anchor: two at once would undo each other's changes.
    async fn refuse_second(&mut self, new: &NewRotation) -> Result<(), StoreError> {
        let found = self
            .connection
            .find(
                "SELECT id FROM rotations WHERE organization_id = $1 AND status = 'in_progress' \
                 AND (old_certificate_id IN ($2, $3) OR new_certificate_id IN ($2, $3))",
                params![self.organization, new.old, new.new,],
            )
            .await?;
        found.map_or(Ok(()), |id| Err(StoreError::RotationInProgress { id }))
    }

    /// Where a rotation takes place, each with how the old anchor is active there.
    async fn scopes_of(
        &mut self,
        new: &NewRotation,
    ) -> Result<Vec<(Scope, Enforcement)>, StoreError> {
        let active = self
            .connection
            .query(
                "SELECT a.project_id, a.enforcement FROM activations a \
                 LEFT JOIN projects p ON p.id = a.project_id \
                 WHERE a.certificate_id = $1 AND p.archived_at IS NULL ORDER BY a.project_id",
                params![new.old],
            )
            .await?;
        let Some(projects) = &new.projects else {
            if active.is_empty() {
                return Err(StoreError::NotActive { index: None });
            }
            return Ok(active);
        };
        let mut named = Vec::new();
        for (index, project) in projects.iter().enumerate() {
            self.open_project(project, Archived::Refused).await?;
            let is_it = |(scope, _): &&(Scope, Enforcement)| scope.project() == Some(project);
            let found = active.iter().find(is_it).cloned();
            named.push(found.ok_or(StoreError::NotActive { index: Some(index) })?);
        }
        Ok(named)
    }

    async fn insert_rotation(
        &mut self,
        id: &RotationId,
        new: &NewRotation,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO rotations (id, organization_id, old_certificate_id, \
                 new_certificate_id, enforcement, status, created_at) \
                 VALUES ($1, $2, $3, $4, $5, 'in_progress', $6)",
                params![
                    id,
                    self.organization,
                    new.old,
                    new.new,
                    new.enforcement,
                    self.now,
                ],
            )
            .await
    }

    async fn insert_rotation_scope(
        &mut self,
        id: &RotationId,
        scope: &Scope,
        before: Option<Enforcement>,
        set: Option<Enforcement>,
    ) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "INSERT INTO rotation_scopes (rotation_id, project_id, new_before, new_set) \
                 VALUES ($1, $2, $3, $4)",
                params![id, scope, before, set,],
            )
            .await
    }

    pub(super) async fn set_rotation_status(
        &mut self,
        id: &RotationId,
        status: RotationStatus,
    ) -> Result<u64, StoreError> {
        let status = word(&status)?;
        self.connection
            .execute(
                "UPDATE rotations SET status = $2, ended_at = $3 WHERE id = $1",
                params![id, status, self.now,],
            )
            .await
    }
}

/// The event of a step of a rotation, with the old and the new certificate. A deleted one has no
/// name any more.
pub(super) fn rotated(
    id: &RotationId,
    status: RotationStatus,
    [old, new]: [Option<&Certificate>; 2],
    [old_id, new_id]: [&CertificateId; 2],
) -> AuditEvent {
    let named = |certificate: Option<&Certificate>, id: &CertificateId| AuditCertificate {
        id: id.clone(),
        name: certificate.and_then(|certificate| certificate.name.clone()),
    };
    AuditEvent::CertificateRotated(AuditRotation {
        id: id.clone(),
        status,
        old: named(old, old_id),
        new: named(new, new_id),
    })
}

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.old_certificate_id, t.new_certificate_id, t.enforcement, t.status, \
                  t.created_at, t.ended_at",
        from: "FROM rotations t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &RotationId,
) -> Result<Rotation, StoreError> {
    let mut rotation: Rotation = listing(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Rotation, id.as_str()))?;
    fill(connection, &mut rotation).await?;
    Ok(rotation)
}

impl FromRow for Rotation {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: RotationObject::Rotation.into(),
            id: row.next()?,
            old_certificate_id: row.next()?,
            new_certificate_id: row.next()?,
            enforcement: row.next()?,
            status: row.next()?,
            created_at: row.next()?,
            ended_at: row.next()?,
            scopes: Vec::new(),
            progress: None,
        })
    }
}

async fn fill(connection: &mut Connection, rotation: &mut Rotation) -> Result<(), StoreError> {
    let stored = scopes(connection, rotation).await?.into_iter();
    rotation.scopes = stored
        .map(|each| RotationScope {
            project_id: each.scope.project().cloned(),
            old_enforcement: each.old.map(Into::into),
            new_enforcement: each.new.map(Into::into),
            new_enforcement_before: each.new_before.map(Into::into),
        })
        .collect();
    Ok(())
}

async fn scopes(
    connection: &mut Connection,
    rotation: &Rotation,
) -> Result<Vec<StoredScope>, StoreError> {
    connection
        .query(
            "SELECT s.project_id, o.enforcement, n.enforcement, s.new_before, s.new_set \
             FROM rotation_scopes s \
             LEFT JOIN activations o ON o.certificate_id = $2 AND o.project_id = s.project_id \
             LEFT JOIN activations n ON n.certificate_id = $3 AND n.project_id = s.project_id \
             WHERE s.rotation_id = $1 ORDER BY s.project_id",
            params![
                rotation.id,
                rotation.old_certificate_id,
                rotation.new_certificate_id,
            ],
        )
        .await
}

impl FromRow for StoredScope {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            scope: row.next()?,
            old: row.next()?,
            new: row.next()?,
            new_before: row.next()?,
            new_set: row.next()?,
        })
    }
}
