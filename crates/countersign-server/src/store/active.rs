//! Sets everything that is active at a scope, in one step.

use countersign_types::{
    certificate::{ActiveAt, ActiveCertificate, Enforcement, Scope, ScopedCertificate},
    id::{CertificateId, OrganizationId},
};

use super::{
    Change, Store, StoreError, WriteTx,
    certificates::find_scoped,
    projects::Archived,
    row::{FromRow, Row},
    value::params,
};

impl Store {
    /// Every scope where a certificate is active, the organization first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn active_at(
        &self,
        organization: &OrganizationId,
        id: &CertificateId,
    ) -> Result<Vec<ActiveAt>, StoreError> {
        self.reader()
            .await?
            .query(
                "SELECT project_id, enforcement FROM activations \
                 WHERE organization_id = $1 AND certificate_id = $2 ORDER BY project_id",
                params![organization, id],
            )
            .await
    }
}

impl WriteTx {
    /// Makes exactly these certificates active at a scope, all or none. With `expected`, only if
    /// exactly those are active now. If the wanted ones are active already, `expected` is ignored:
    /// a repeated request gets the answer of the first.
    ///
    /// # Errors
    /// [`StoreError::ScopeChanged`], and those of
    /// [`activate_certificates`](Self::activate_certificates), where the index of
    /// [`StoreError::Expired`] counts in `wanted`.
    pub async fn set_active_certificates(
        &mut self,
        scope: &Scope,
        wanted: &[ActiveCertificate],
        expected: Option<&[ActiveCertificate]>,
    ) -> Result<Change<Vec<ScopedCertificate>>, StoreError> {
        self.audit_project(scope, Archived::Allowed).await?;
        let active = self.active_certificates(scope).await?;
        let mut events = Vec::new();
        if !same(&active, wanted) {
            if expected.is_some_and(|expected| !same(&active, expected)) {
                return Err(StoreError::ScopeChanged);
            }
            for enforcement in [Enforcement::Enforce, Enforcement::Report] {
                let comes = wanted.iter().filter(|each| each.enforcement == enforcement);
                let comes: Vec<CertificateId> = comes
                    .filter(|each| !active.contains(each))
                    .map(|each| each.certificate_id.clone())
                    .collect();
                if comes.is_empty() {
                    continue;
                }
                let activated = self
                    .activate_certificates(scope, &comes, enforcement)
                    .await
                    .map_err(|error| counted_in(wanted, &comes, error))?;
                events.extend(activated.events);
            }
            let stays = |id: &CertificateId| wanted.iter().any(|each| each.certificate_id == *id);
            let ids = active.into_iter().map(|each| each.certificate_id);
            let goes: Vec<CertificateId> = ids.filter(|id| !stays(id)).collect();
            let gone = self.deactivate_certificates(scope, &goes).await?;
            events.extend(gone.events);
        }
        let mut answer = Vec::with_capacity(wanted.len());
        for each in wanted {
            let connection = &mut self.connection;
            let id = &each.certificate_id;
            answer.push(find_scoped(connection, &self.organization, scope, id).await?);
        }
        Ok(Change { answer, events })
    }

    /// Whether anything is enforced at a scope.
    pub(super) async fn is_enforcing(&mut self, scope: &Scope) -> Result<bool, StoreError> {
        let active = self.active_certificates(scope).await?;
        let mut all = active.iter();
        Ok(all.any(|each| each.enforcement == Enforcement::Enforce))
    }

    /// What is active at a scope, oldest activation first.
    async fn active_certificates(
        &mut self,
        scope: &Scope,
    ) -> Result<Vec<ActiveCertificate>, StoreError> {
        self.connection
            .query(
                "SELECT certificate_id, enforcement FROM activations \
                 WHERE organization_id = $1 AND project_id = $2 ORDER BY activated_at, seq",
                params![self.organization, scope,],
            )
            .await
    }
}

impl FromRow for ActiveCertificate {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            certificate_id: row.next()?,
            enforcement: row.next()?,
        })
    }
}

impl FromRow for ActiveAt {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let scope: Scope = row.next()?;
        Ok(Self {
            project_id: scope.project().cloned(),
            enforcement: row.next::<Enforcement>()?.into(),
        })
    }
}

/// Whether two lists of distinct certificates hold the same ones, each with the same enforcement.
fn same(one: &[ActiveCertificate], other: &[ActiveCertificate]) -> bool {
    one.len() == other.len() && one.iter().all(|each| other.contains(each))
}

fn counted_in(
    wanted: &[ActiveCertificate],
    comes: &[CertificateId],
    error: StoreError,
) -> StoreError {
    let StoreError::Expired { index } = error else {
        return error;
    };
    let id = comes.get(index);
    let mut places = wanted.iter();
    let index = places.position(|each| Some(&each.certificate_id) == id);
    StoreError::Expired {
        index: index.unwrap_or_default(),
    }
}
