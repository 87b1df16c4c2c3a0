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

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::{
        bundle::{BundleKey, BundleProject},
        id::ApiKeyId,
    };

    const LIVE: &str = "sk-live";

    fn key(value: &str, kind: KeyKind, project: Option<u128>) -> BundleKey {
        BundleKey {
            id: ApiKeyId::from_random(1),
            kind,
            sha256: KeyDigest::of(value),
            project: project.map(ProjectId::from_random),
            expires_at: None,
        }
    }

    fn organization(number: u128, keys: Vec<BundleKey>) -> OrganizationBundle {
        let project = |project, archived| BundleProject {
            id: ProjectId::from_random(project),
            archived,
            active: Vec::new(),
            with_reported: Vec::new(),
        };
        OrganizationBundle {
            id: OrganizationId::from_random(number),
            revision: 1,
            digest: None,
            certificates: Vec::new(),
            active: Vec::new(),
            with_reported: Vec::new(),
            projects: vec![project(10 * number, false), project(10 * number + 1, true)],
            keys,
        }
    }

    fn snapshot(organizations: Vec<OrganizationBundle>) -> Snapshot {
        Snapshot::default().after(1, true, organizations, &[])
    }

    fn scope(snapshot: &Snapshot, value: &str, now: UnixSeconds) -> Option<Scope> {
        let credential = Credential::KeyDigest(KeyDigest::of(value));
        let identity = snapshot.identity(&credential, now)?;
        Some(identity.scope.clone())
    }

    #[test]
    fn a_key_stops_working_in_the_second_at_which_it_expires() {
        let expiring = BundleKey {
            expires_at: Some(100),
            ..key(LIVE, KeyKind::Project, Some(10))
        };
        let snapshot = snapshot(vec![organization(1, vec![expiring])]);
        assert!(scope(&snapshot, LIVE, 99).is_some());
        assert!(scope(&snapshot, LIVE, 100).is_none());
        assert!(scope(&snapshot, LIVE, 101).is_none());
    }

    #[test]
    fn a_key_is_of_its_project_or_its_organization_and_of_nothing_else() {
        let keys = vec![
            key("project", KeyKind::Project, Some(10)),
            key("admin", KeyKind::Admin, None),
            key("archived", KeyKind::Project, Some(11)),
            key("another's project", KeyKind::Project, Some(20)),
            key("no project", KeyKind::Project, None),
            key("admin of a project", KeyKind::Admin, Some(10)),
        ];
        let snapshot = snapshot(vec![organization(1, keys), organization(2, Vec::new())]);
        let project = Scope::Project(ProjectId::from_random(10));
        assert_eq!(scope(&snapshot, "project", 0), Some(project));
        assert_eq!(scope(&snapshot, "admin", 0), Some(Scope::Organization));
        for nobodys in [
            "archived",
            "another's project",
            "no project",
            "admin of a project",
            "unknown",
        ] {
            assert_eq!(scope(&snapshot, nobodys, 0), None, "{nobodys}");
        }
        let fixed = |project| {
            let credential = Credential::FixedProject(ProjectId::from_random(project));
            snapshot.identity(&credential, 0).is_some()
        };
        assert!(fixed(10) && !fixed(11) && !fixed(30));
    }

    #[test]
    fn a_change_replaces_what_it_names_and_a_complete_answer_everything() {
        let keys = |value| vec![key(value, KeyKind::Admin, None)];
        let first = snapshot(vec![organization(1, keys("a")), organization(2, keys("b"))]);
        let second = first.after(2, false, vec![organization(1, keys("c"))], &[]);
        assert_eq!(second.revision, 2);
        let known = |value| scope(&second, value, 0).is_some();
        assert!(!known("a") && known("b") && known("c"));
        let kept = |snapshot: &Snapshot, id| {
            let id = OrganizationId::from_random(id);
            Arc::as_ptr(snapshot.organizations.get(&id).unwrap())
        };
        assert_eq!(kept(&first, 2), kept(&second, 2), "what was compiled stays");
        assert_ne!(kept(&first, 1), kept(&second, 1));
        let third = second.after(3, true, vec![organization(2, keys("b"))], &[]);
        assert!(scope(&third, "c", 0).is_none() && scope(&third, "b", 0).is_some());
        let fourth = third.after(4, false, Vec::new(), &[OrganizationId::from_random(2)]);
        assert!(scope(&fourth, "b", 0).is_none(), "it went");
    }
}
