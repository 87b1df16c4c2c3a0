//! Who is calling: a bearer key, by the SHA-256 of its value, in what was last pulled from the
//! control plane. Known and unknown keys cost the same: one digest, one look into a map.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bearer::bearer_key,
    bundle::OrganizationBundle,
    certificate::Scope,
    digest::KeyDigest,
    id::{ApiKeyId, OrganizationId, ProjectId},
};
use countersign_verify::trust::TrustSet;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::connection::Seen;

/// What a request's identity is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The SHA-256 of the bearer key.
    KeyDigest(KeyDigest),
    /// The one project that every request here belongs to.
    FixedProject(ProjectId),
}

impl Credential {
    /// Reads `Authorization: Bearer KEY`. More than one such header, or another scheme, is none.
    pub(crate) fn from_bearer(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(AUTHORIZATION).iter();
        let key = bearer_key(values.map(HeaderValue::as_bytes)).ok()?;
        Some(Self::KeyDigest(KeyDigest::of(key)))
    }
}

/// An organization as it is enforced: its trust, and what was judged under it.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) trust: TrustSet,
    /// The same with what is only reported, if anything is.
    pub(crate) reported: Option<TrustSet>,
    /// Chains that passed under this very trust; they go when it goes.
    pub(crate) seen: Mutex<Seen>,
    bundle: OrganizationBundle,
}

/// Who a request is from.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) organization: Arc<Organization>,
    pub(crate) scope: Scope,
    pub(crate) key: Option<ApiKeyId>,
    expires_at: Option<UnixSeconds>,
    /// As they go upstream.
    pub(crate) organization_header: HeaderValue,
    pub(crate) project_header: Option<HeaderValue>,
    pub(crate) key_header: Option<HeaderValue>,
}

impl Identity {
    fn new(
        organization: &Arc<Organization>,
        scope: Scope,
        key: Option<ApiKeyId>,
        expires_at: Option<UnixSeconds>,
    ) -> Arc<Self> {
        let header = |id: &str| HeaderValue::from_str(id).ok();
        let project_header = scope.project().and_then(|project| header(project.as_str()));
        Arc::new(Self {
            organization_header: header(organization.id.as_str())
                .unwrap_or(HeaderValue::from_static("")),
            project_header,
            key_header: key.as_ref().and_then(|key| header(key.as_str())),
            organization: Arc::clone(organization),
            scope,
            key,
            expires_at,
        })
    }

    /// The project that it calls as; none for an admin key.
    pub(crate) const fn project(&self) -> Option<&ProjectId> {
        self.scope.project()
    }
}

/// Everything that is enforced now. It is built beside the old one and swapped in one step.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The deployment's revision that this is.
    pub(crate) revision: u64,
    organizations: HashMap<OrganizationId, Arc<Organization>>,
    keys: HashMap<KeyDigest, Arc<Identity>>,
    projects: HashMap<ProjectId, Arc<Identity>>,
}

impl Snapshot {
    /// Whose request this is, unless nobody's: an unknown, expired or archived project's key.
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

    /// The organizations as they were pulled, to keep on disk.
    pub(crate) fn bundles(&self) -> Vec<OrganizationBundle> {
        self.organizations
            .values()
            .map(|each| each.bundle.clone())
            .collect()
    }

    /// What is enforced after these organizations changed. Unchanged ones keep what was compiled,
    /// and what was seen under it.
    pub(crate) fn after(
        &self,
        revision: u64,
        complete: bool,
        changed: Vec<OrganizationBundle>,
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
            let organization = unchanged.unwrap_or_else(|| {
                Arc::new(Organization {
                    id: bundle.id.clone(),
                    trust: TrustSet::compile(&bundle),
                    reported: TrustSet::compile_reported(&bundle),
                    seen: Mutex::default(),
                    bundle: bundle.clone(),
                })
            });
            organizations.insert(bundle.id, organization);
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
            let live: Vec<&ProjectId> = organization
                .bundle
                .projects
                .iter()
                .filter(|project| !project.archived)
                .map(|project| &project.id)
                .collect();
            for project in &live {
                let scope = Scope::Project((*project).clone());
                let identity = Identity::new(organization, scope, None, None);
                self.projects.insert((*project).clone(), identity);
            }
            for key in &organization.bundle.keys {
                let scope = match (key.kind, &key.project) {
                    (KeyKind::Admin, None) => Scope::Organization,
                    (KeyKind::Project, Some(project)) if live.contains(&project) => {
                        Scope::Project(project.clone())
                    }
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

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn one_bearer_header_is_read_and_nothing_else() {
        assert!(Credential::from_bearer(&headers(&["Bearer sk-a"])).is_some());
        assert_eq!(
            Credential::from_bearer(&headers(&["bearer  sk-a"])),
            Credential::from_bearer(&headers(&["Bearer sk-a"]))
        );
        for wrong in [
            &[][..],
            &["Basic sk-a"],
            &["Bearer "],
            &["Bearer"],
            &["sk-a"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(Credential::from_bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }
}
