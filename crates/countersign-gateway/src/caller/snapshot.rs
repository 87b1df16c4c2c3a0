//! Everything that is enforced at one time, indexed by what requests bring.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::OrganizationBundle,
    certificate::Scope,
    digest::KeyDigest,
    id::{OrganizationId, ProjectId},
};

use super::{
    credential::Credential,
    identity::{Identity, Organization},
};

/// Everything that is enforced at one time. A change builds the next one beside it, which then
/// replaces it in one step.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The deployment's revision.
    pub(crate) revision: u64,
    organizations: HashMap<OrganizationId, Arc<Organization>>,
    keys: HashMap<KeyDigest, Arc<Identity>>,
    projects: HashMap<ProjectId, Arc<Identity>>,
}

impl Snapshot {
    /// Who is calling; nobody if the key is unknown or expired, or its project is archived.
    pub(crate) fn identity(
        &self,
        credential: &Credential,
        now: UnixSeconds,
    ) -> Option<&Arc<Identity>> {
        let identity = match credential {
            Credential::KeyDigest(digest) => self.keys.get(digest),
            Credential::FixedProject(project) => self.projects.get(project),
        }?;
        identity
            .expires_at
            .is_none_or(|end| now < end)
            .then_some(identity)
    }

    /// The organizations as they were pulled, to be stored on disk.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &OrganizationBundle> {
        self.organizations.values().map(|each| &each.bundle)
    }

    /// An organization as it was pulled.
    pub(crate) fn bundle(&self, id: &OrganizationId) -> Option<&OrganizationBundle> {
        self.organizations.get(id).map(|each| &each.bundle)
    }

    /// What is enforced after these organizations changed, and others went. Unchanged ones keep what was compiled,
    /// and the chains that it permitted.
    pub(crate) fn after(
        &self,
        revision: u64,
        complete: bool,
        changed: Vec<OrganizationBundle>,
        removed: &[OrganizationId],
    ) -> Self {
        let mut organizations = if complete {
            HashMap::new()
        } else {
            self.organizations.clone()
        };
        for bundle in changed {
            let unchanged = self
                .organizations
                .get(&bundle.id)
                .filter(|known| known.bundle == bundle)
                .map(Arc::clone);
            let id = bundle.id.clone();
            let organization = unchanged.unwrap_or_else(|| Organization::compile(bundle));
            organizations.insert(id, organization);
        }
        for id in removed {
            organizations.remove(id);
        }
        let mut next = Self {
            revision,
            organizations,
            ..Self::default()
        };
        next.index();
        next
    }

    /// Indexes keys and projects. An archived project has neither.
    fn index(&mut self) {
        for organization in self.organizations.values() {
            let unarchived: Vec<&ProjectId> = organization
                .bundle
                .projects
                .iter()
                .filter(|project| !project.archived)
                .map(|project| &project.id)
                .collect();
            for project in &unarchived {
                let scope = Scope::Project((*project).clone());
                let identity = Identity::new(organization, scope, None, None);
                self.projects.insert((*project).clone(), identity);
            }
            for key in &organization.bundle.keys {
                let scope = match (key.kind, &key.project) {
                    (KeyKind::Admin, None) => Scope::Organization,
                    (KeyKind::Project, Some(project)) if unarchived.contains(&project) => {
                        Scope::Project(project.clone())
                    }
                    // A key of an archived project, or one that makes no sense: nobody's key.
                    _ => continue,
                };
                let identity =
                    Identity::new(organization, scope, Some(key.id.clone()), key.expires_at);
                self.keys.insert(key.sha256, identity);
            }
        }
    }
}
