//! The trust that an organization's assertions are about, before a write and after it. A write that
//! changes it is committed only once it was judged: the commit compares, so that no write can forget
//! to. The judging is done outside the write, since it would hold up others.

use std::{collections::HashSet, sync::Arc};

use countersign_types::{
    audit::{AssertionChange, AuditEvent},
    bundle::{BundleCertificate, BundleProject, OrganizationBundle},
    certificate::Scope,
    id::{CertificateId, DenialId, OrganizationId, ProjectId},
    known_sets::KnownSets,
};

use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

use super::{
    Store, StoreError,
    connection::Connection,
    denial_rows,
    kept_assertion::{JudgedChange, KeptAssertion, NewAssertion, UnjudgedChange},
    observed_chains::unpack,
    revoked_sets,
    row::{FromRow, Row},
    value::params,
};

/// What a write knows of it.
#[derive(Default)]
pub(super) struct Asserted {
    /// As it was when the write began; `None` where there are no assertions.
    before: Option<Arc<OrganizationBundle>>,
    /// The change that was judged, if one was.
    judged: Option<JudgedChange>,
}

impl Asserted {
    /// Reads what is in force before a write, where there are assertions.
    pub(super) async fn begin(
        connection: &mut Connection,
        known: &KnownSets,
        organization: &OrganizationId,
        assertions: u64,
    ) -> Result<Self, StoreError> {
        if assertions == 0 {
            return Ok(Self::default());
        }
        let before = read(connection, known, organization).await?;
        Ok(Self {
            before: Some(Arc::new(before)),
            judged: None,
        })
    }

    /// Lets a change pass [`Self::check`] that was judged.
    pub(super) fn accept(&mut self, judged: JudgedChange) {
        self.judged = Some(judged);
    }

    /// Refuses a change of trust that was not judged; the events of what was overridden otherwise.
    pub(super) async fn check(
        &mut self,
        connection: &mut Connection,
        known: &KnownSets,
        organization: &OrganizationId,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let Some(mut before) = self.before.clone() else {
            return Ok(Vec::new());
        };
        let mut after = read(connection, known, organization).await?;
        // Where this write creates or deletes an assertion, only what both times are about counts.
        let ids = [project_ids(&before), project_ids(&after)];
        if ids[0] != ids[1] {
            let both = ids[0].intersection(&ids[1]).cloned().collect();
            before = Arc::new(only(OrganizationBundle::clone(&before), &both));
            after = only(after, &both);
        }
        let then = deciding(&after);
        if deciding(&before) == then {
            return Ok(Vec::new());
        }
        match self.judged.take() {
            Some(judged) if judged.before == before && deciding(&judged.after) == then => {
                let overridden = judged.overridden.into_iter();
                Ok(overridden
                    .map(|(id, name)| AuditEvent::AssertionChanged {
                        organization: organization.clone(),
                        id,
                        change: AssertionChange::Overridden { name },
                    })
                    .collect())
            }
            _ => Err(StoreError::Unjudged(Box::new(UnjudgedChange {
                before,
                after: Arc::new(after),
            }))),
        }
    }
}

impl Store {
    /// Every assertion of an organization, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn every_assertion(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<KeptAssertion>, StoreError> {
        all(&mut self.reader().await?, organization).await
    }

    /// What is in force, as far as assertions are about it, and the assertions; nothing where there
    /// are none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn asserted_trust(
        &self,
        organization: &OrganizationId,
    ) -> Result<(OrganizationBundle, Vec<KeptAssertion>), StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let trust = read(&mut connection, &self.inner.sets, organization).await?;
        let assertions = all(&mut connection, organization).await?;
        Ok((trust, assertions))
    }
}

/// What is enforced at the scopes that assertions are about, and for the organization. What is only
/// reported, and what is enforced elsewhere, decides no assertion.
async fn read(
    connection: &mut Connection,
    known: &KnownSets,
    organization: &OrganizationId,
) -> Result<OrganizationBundle, StoreError> {
    let revision = connection
        .number(
            "SELECT revision FROM organizations WHERE id = $1",
            params![organization],
        )
        .await?;
    let projects: Vec<BundleProject> = connection
        .query(
            "SELECT id, archived_at FROM projects WHERE organization_id = $1 AND id IN \
             (SELECT project_id FROM assertions WHERE organization_id = $1) ORDER BY id",
            params![organization],
        )
        .await?;
    let enforced: Vec<(Scope, CertificateId)> = connection
        .query(
            "SELECT project_id, certificate_id FROM activations WHERE organization_id = $1 \
             AND enforcement = 'enforce' AND (project_id = '' OR project_id IN \
             (SELECT project_id FROM assertions WHERE organization_id = $1)) \
             ORDER BY activated_at, seq",
            params![organization],
        )
        .await?;
    let certificates = enforced_certificates(connection, organization).await?;
    let mut trust = OrganizationBundle {
        id: organization.clone(),
        revision,
        digest: None,
        certificates,
        active: Vec::new(),
        with_reported: Vec::new(),
        projects,
        keys: Vec::new(),
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: denial_rows::asserted(connection, organization).await?,
    };
    for (scope, certificate) in enforced {
        let active = match scope.project() {
            None => Some(&mut trust.active),
            Some(id) => {
                let mut projects = trust.projects.iter_mut();
                let found = projects.find(|project| project.id == *id);
                found.map(|project| &mut project.active)
            }
        };
        active
            .into_iter()
            .for_each(|active| active.push(certificate.clone()));
    }
    let lists = revoked_sets::of_organization(connection, organization).await?;
    revoked_sets::distribute(&mut trust, lists);
    let mut trust = with_used_certificates(trust);
    revoked_sets::attach(connection, known, &mut trust).await?;
    Ok(trust)
}

/// The anchors that are enforced somewhere, without what is only reported of them.
async fn enforced_certificates(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<BundleCertificate>, StoreError> {
    connection
        .query(
            "SELECT id, pem, cel_policy, CAST(NULL AS TEXT), crl_missing, floor, floor_set_by, floor_set_at, \
             CAST(NULL AS BIGINT), CAST(NULL AS TEXT), CAST(NULL AS BIGINT) \
             FROM certificates WHERE organization_id = $1 AND id IN \
             (SELECT certificate_id FROM activations WHERE organization_id = $1 \
             AND enforcement = 'enforce') ORDER BY created_at, seq",
            params![organization],
        )
        .await
}

/// What of trust decides a verdict: not what a denial that is made again is called, nor when it was made.
fn deciding(trust: &OrganizationBundle) -> OrganizationBundle {
    let mut trust = trust.clone();
    for denial in &mut trust.denials {
        denial.id = DenialId::opaque("");
        denial.created_at = 0;
    }
    for certificate in &mut trust.certificates {
        if let Some(floor) = &mut certificate.floor {
            floor.set_at = 0;
        }
    }
    trust
}

fn project_ids(trust: &OrganizationBundle) -> HashSet<ProjectId> {
    let projects = trust.projects.iter();
    projects.map(|project| project.id.clone()).collect()
}

fn only(mut trust: OrganizationBundle, projects: &HashSet<ProjectId>) -> OrganizationBundle {
    trust
        .projects
        .retain(|project| projects.contains(&project.id));
    trust.denials.retain(|denial| {
        let project = denial.project.as_ref();
        project.is_none_or(|project| projects.contains(project))
    });
    with_used_certificates(trust)
}

/// Leaves out certificates that are enforced at none of the scopes.
fn with_used_certificates(mut trust: OrganizationBundle) -> OrganizationBundle {
    let projects = trust.projects.iter().flat_map(|project| &project.active);
    let used: HashSet<CertificateId> = trust.active.iter().chain(projects).cloned().collect();
    trust
        .certificates
        .retain(|certificate| used.contains(&certificate.id));
    trust
}

pub(super) const COLUMNS: &str =
    "t.id, t.created_at, t.name, t.reason, t.project_id, t.expect, t.code, t.chain";

/// Every assertion of an organization, oldest first.
pub(super) async fn all(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<KeptAssertion>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM assertions t WHERE t.organization_id = $1 \
         ORDER BY t.created_at, t.seq"
    );
    connection.query(&sql, params![organization]).await
}

impl FromRow for KeptAssertion {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            created_at: row.next()?,
            says: NewAssertion {
                name: row.next()?,
                reason: row.next()?,
                scope: row.next()?,
                expect: row.next()?,
                code: row.next()?,
                presented: presented(row.next()?)?,
            },
        })
    }
}

fn presented(packed: &[u8]) -> Result<Presented, StoreError> {
    let chain = unpack(packed)?.into_iter().map(CertificateDer::from);
    Ok(Presented::new(chain.collect()))
}
