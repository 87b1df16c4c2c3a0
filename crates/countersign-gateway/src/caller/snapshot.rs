//! Everything that is enforced at one time, indexed by what requests bring.

use std::{
    collections::{HashMap, HashSet},
    hash::RandomState,
    sync::Arc,
};

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::{BundleKey, OrganizationBundle},
    certificate::Scope,
    digest::KeyDigest,
    id::{OrganizationId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
};

use super::{
    credential::Credential,
    identity::{Caller, Identity},
    organization::{Organization, keys_fit},
    sharded::{ByDigest, Sharded},
};

/// Everything that is enforced at one time. A change builds the next one beside it, which then
/// replaces it in one step. The next one shares with it all that the change does not touch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// The deployment's revision.
    pub(crate) revision: u64,
    organizations: Sharded<OrganizationId, Arc<Organization>, foldhash::fast::RandomState>,
    keys: Sharded<KeyDigest, Arc<Identity>, ByDigest>,
    projects: Sharded<ProjectId, Arc<Identity>, RandomState>,
    /// The organizations of the workload identity providers that admit anybody.
    providers: Sharded<WorkloadIdentityProviderId, OrganizationId, RandomState>,
}

impl Snapshot {
    /// Who is calling; nobody if the key is unknown or expired, or its project is archived.
    pub(crate) fn caller<'s>(
        &'s self,
        credential: &'s Credential,
        now: UnixSeconds,
    ) -> Option<Caller<'s>> {
        let identity = match credential {
            Credential::KeyDigest(digest) => self.keys.get(digest),
            Credential::FixedProject(project) => self.projects.get(project),
            Credential::Token(token) => Some(&token.identity),
        }?;
        let in_force = identity.expires_at.is_none_or(|end| now < end);
        let organization = self.organizations.get(&identity.organization)?;
        if let Credential::Token(token) = credential
            && !organization.believes(&token.claims, &token.key, now)
        {
            return None;
        }
        in_force.then_some(Caller {
            identity,
            organization,
        })
    }

    /// Whom an exchange is for: the project of a service account for which a provider has a rule that is in
    /// force.
    pub(crate) fn admitting<'s>(
        &'s self,
        provider: &WorkloadIdentityProviderId,
        account: &ServiceAccountId,
    ) -> Option<Caller<'s>> {
        let organization = self.organizations.get(self.providers.get(provider)?)?;
        let project = organization.federation().project(provider, account)?;
        let identity = self.projects.get(project)?;
        // The project is the organization's own, whatever a bundle says.
        let is_own = identity.organization == *organization.id();
        is_own.then_some(Caller {
            identity,
            organization,
        })
    }

    /// The organizations in force.
    pub(crate) fn organizations(&self) -> impl Iterator<Item = &Arc<Organization>> {
        self.organizations.values()
    }

    /// The organizations that are not the same in this and another snapshot, each of them once or twice. It costs
    /// what differs between them.
    pub(crate) fn differing<'s>(
        &'s self,
        other: &'s Self,
    ) -> impl Iterator<Item = &'s OrganizationId> {
        let unshared = self.organizations.unshared(&other.organizations);
        let differ = unshared.filter(move |(id, _)| {
            let both = [self, other].map(|snapshot| snapshot.organization(id).map(Arc::as_ptr));
            let [one, other] = both;
            one != other
        });
        differ.map(|(id, _)| id)
    }

    /// An organization in force.
    pub(crate) fn organization(&self, id: &OrganizationId) -> Option<&Arc<Organization>> {
        self.organizations.get(id)
    }

    /// Whether what changed of an organization's keys, if that was sent, can be applied to those in force.
    pub(crate) fn fits(&self, bundle: &OrganizationBundle) -> bool {
        keys_fit(
            self.organizations.get(&bundle.id).map(AsRef::as_ref),
            bundle,
        )
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
        let mut next = self.clone();
        next.revision = revision;
        if complete {
            let stay: HashSet<&OrganizationId> = changed.iter().map(|each| &each.id).collect();
            let all = self.organizations.values();
            for gone in all.filter(|each| !stay.contains(each.id())) {
                next.remove(gone);
            }
        }
        for bundle in changed {
            next.put(bundle);
        }
        for gone in removed.iter().filter_map(|id| self.organizations.get(id)) {
            next.remove(gone);
        }
        next
    }

    /// Puts an organization in force, in place of what it was before.
    fn put(&mut self, bundle: OrganizationBundle) {
        let before = self.organizations.get(&bundle.id).map(Arc::clone);
        if before.as_ref().is_some_and(|before| before.is(&bundle)) {
            return;
        }
        let after = Arc::new(Organization::after(before.as_deref(), bundle));
        self.index(before.as_deref(), &after);
        self.index_providers(before.as_deref(), &after);
        self.organizations.insert(after.id().clone(), after);
    }

    fn remove(&mut self, gone: &Organization) {
        let is_it = |identity: &Arc<Identity>| identity.organization == *gone.id();
        for key in &**gone.keys() {
            self.keys.remove_if(&key.sha256, is_it);
        }
        for project in &gone.bundle().projects {
            self.projects.remove_if(&project.id, is_it);
        }
        for provider in gone.federation().providers() {
            self.providers.remove_if(provider, |of| *of == *gone.id());
        }
        self.organizations.remove_if(gone.id(), |_| true);
    }

    fn index_providers(&mut self, before: Option<&Organization>, after: &Organization) {
        let own = after.federation();
        let gone = before
            .into_iter()
            .flat_map(|before| before.federation().providers());
        for provider in gone.filter(|id| !own.has(id)) {
            self.providers.remove_if(provider, |of| of == after.id());
        }
        for provider in own.providers() {
            if self.providers.get(provider) != Some(after.id()) {
                self.providers.insert(provider.clone(), after.id().clone());
            }
        }
    }

    /// Indexes the keys and projects of an organization, where the change touched them. An archived project
    /// has neither.
    fn index(&mut self, before: Option<&Organization>, after: &Organization) {
        let known_before = before.map(unarchived).unwrap_or_default();
        let known = unarchived(after);
        let same_projects = known.keys().all(|id| known_before.contains_key(id))
            && known.len() == known_before.len();
        if !same_projects {
            self.index_projects(&known_before, &known, after.id());
        }
        let same_keys = before.is_some_and(|before| Arc::ptr_eq(before.keys(), after.keys()));
        if same_projects && same_keys {
            return;
        }
        let before_keys = before.map_or(&[][..], |before| before.keys());
        let (before_keys, after_keys) = if same_projects {
            without_common_ends(before_keys, after.keys())
        } else {
            (before_keys, &**after.keys())
        };
        let mut indexed = HashSet::with_capacity(after_keys.len());
        for key in after_keys {
            if let Some(identity) = identity_of(key, after.id(), &known) {
                indexed.insert(key.sha256);
                let found = self.keys.get(&key.sha256);
                if !found.is_some_and(|found| found.is_same(&identity)) {
                    self.keys.insert(key.sha256, Arc::new(identity));
                }
            }
        }
        let is_it = |identity: &Arc<Identity>| identity.organization == *after.id();
        let gone = before_keys.iter();
        for key in gone.filter(|key| !indexed.contains(&key.sha256)) {
            self.keys.remove_if(&key.sha256, is_it);
        }
    }

    fn index_projects(
        &mut self,
        before: &HashMap<&ProjectId, Scope>,
        after: &HashMap<&ProjectId, Scope>,
        organization: &OrganizationId,
    ) {
        let is_it = |identity: &Arc<Identity>| identity.organization == *organization;
        for gone in before.keys().filter(|id| !after.contains_key(*id)) {
            self.projects.remove_if(gone, is_it);
        }
        for (id, scope) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
            let identity = Identity::new(organization.clone(), scope.clone(), None, None);
            self.projects.insert((*id).clone(), Arc::new(identity));
        }
    }
}

/// Two lists without what is the same at their beginnings and at their ends: of many keys, a key that comes or goes
/// leaves little more than itself.
fn without_common_ends<'k>(
    one: &'k [BundleKey],
    other: &'k [BundleKey],
) -> (&'k [BundleKey], &'k [BundleKey]) {
    let same = |pairs: &mut dyn Iterator<Item = (&BundleKey, &BundleKey)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let beginning = same(&mut one.iter().zip(other));
    let (one, other) = (
        one.get(beginning..).unwrap_or_default(),
        other.get(beginning..).unwrap_or_default(),
    );
    let end = same(&mut one.iter().rev().zip(other.iter().rev()));
    (
        one.get(..one.len() - end).unwrap_or_default(),
        other.get(..other.len() - end).unwrap_or_default(),
    )
}

/// The projects of an organization that are not archived, as scopes.
fn unarchived(organization: &Organization) -> HashMap<&ProjectId, Scope> {
    let projects = organization.bundle().projects.iter();
    projects
        .filter(|project| !project.archived)
        .map(|project| (&project.id, Scope::Project(project.id.clone())))
        .collect()
}

/// Whose key it is.
fn identity_of(
    key: &BundleKey,
    organization: &OrganizationId,
    projects: &HashMap<&ProjectId, Scope>,
) -> Option<Identity> {
    let scope = match (key.kind, &key.project) {
        (KeyKind::Admin, None) => Scope::Organization,
        (KeyKind::Project, Some(project)) => projects.get(project)?.clone(),
        // A key of an archived project, or one that makes no sense: nobody's key.
        _ => return None,
    };
    let id = Some(key.id.clone());
    Some(Identity::new(
        organization.clone(),
        scope,
        id,
        key.expires_at,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::{
        bundle::{BundleKey, BundleProject, KeyChanges, KeysSum},
        digest::Sha256,
        id::{ApiKeyId, CertificateId, FederationRuleId},
        token::{BundleFederation, BundleFederationRule},
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
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        }
    }

    fn snapshot(organizations: Vec<OrganizationBundle>) -> Snapshot {
        Snapshot::default().after(1, true, organizations, &[])
    }

    fn scope(snapshot: &Snapshot, value: &str, now: UnixSeconds) -> Option<Scope> {
        let credential = Credential::KeyDigest(KeyDigest::of(value));
        let caller = snapshot.caller(&credential, now)?;
        Some(caller.identity.scope.clone())
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
            snapshot.caller(&credential, 0).is_some()
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

    #[test]
    fn what_differs_is_what_changed_came_or_went() {
        let keys = |value| vec![key(value, KeyKind::Admin, None)];
        let all = (1..=100).map(|number| organization(number, Vec::new()));
        let first = snapshot(all.collect());
        let differing = |one: &Snapshot, other: &Snapshot| {
            let mut ids: Vec<_> = one.differing(other).cloned().collect();
            ids.sort();
            ids.dedup();
            ids
        };
        assert!(differing(&first, &first.clone()).is_empty());
        let changed = vec![organization(7, keys("a")), organization(101, Vec::new())];
        let second = first.after(2, false, changed, &[OrganizationId::from_random(8)]);
        let mut expected = [7, 8, 101].map(OrganizationId::from_random);
        expected.sort();
        assert_eq!(differing(&first, &second), expected);
        assert_eq!(differing(&second, &first), expected);
    }

    fn caller<'s>(snapshot: &'s Snapshot, value: &str) -> Caller<'s> {
        let credential = Box::new(Credential::KeyDigest(KeyDigest::of(value)));
        snapshot.caller(Box::leak(credential), 0).unwrap()
    }

    #[test]
    fn a_change_of_keys_leaves_trust_and_the_other_keys_alone() {
        let [a, b] = ["a", "b"].map(|value| key(value, KeyKind::Admin, None));
        let first = snapshot(vec![organization(1, vec![a.clone()])]);
        let compiled = |value, snapshot: &Snapshot| {
            let organization = caller(snapshot, value).organization;
            organization.trust();
            Arc::as_ptr(organization.compiled())
        };
        let renamed = OrganizationBundle {
            revision: 2,
            ..organization(1, vec![a.clone(), b])
        };
        let second = first.after(2, false, vec![renamed.clone()], &[]);
        assert_eq!(compiled("a", &first), compiled("a", &second));
        let [before, after] = [&first, &second].map(|snapshot| caller(snapshot, "a").identity);
        assert!(Arc::ptr_eq(before, after), "the key is as it was");
        let revised = OrganizationBundle {
            active: vec![CertificateId::from_random(1)],
            ..renamed
        };
        let third = second.after(3, false, vec![revised], &[]);
        assert_ne!(compiled("b", &second), compiled("b", &third));
    }

    #[test]
    fn keys_come_and_go_wherever_they_stand() {
        let all: Vec<_> = (0..5)
            .map(|number| key(&number.to_string(), KeyKind::Admin, None))
            .collect();
        let subset = |bits: usize| -> Vec<_> {
            let some = all.iter().enumerate();
            let some = some.filter(|(place, _)| bits & (1 << place) != 0);
            some.map(|(_, key)| key.clone()).collect()
        };
        for before in 0..32 {
            let first = snapshot(vec![organization(1, subset(before))]);
            for after in 0..32 {
                let second = first.after(2, false, vec![organization(1, subset(after))], &[]);
                for place in 0..5 {
                    let known = scope(&second, &place.to_string(), 0).is_some();
                    assert_eq!(
                        known,
                        after & (1 << place) != 0,
                        "{before:b} {after:b} {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn of_keys_only_what_changed_is_applied_and_what_does_not_fit_is_nobodys() {
        let [a, b, c] = ["a", "b", "c"].map(|value| BundleKey {
            id: ApiKeyId::from_random(u128::from(value.as_bytes()[0])),
            ..key(value, KeyKind::Project, Some(10))
        });
        let sum = |keys: &[BundleKey]| Some(KeysSum::of(keys).into());
        let changed =
            |added: &[&BundleKey], removed: &[&BundleKey], left: &[BundleKey]| OrganizationBundle {
                keys_sum: sum(left),
                key_changes: Some(KeyChanges {
                    added: added.iter().map(|&key| key.clone()).collect(),
                    removed: removed.iter().map(|key| key.id.clone()).collect(),
                }),
                ..organization(1, Vec::new())
            };
        let known =
            |snapshot: &Snapshot| ["a", "b", "c"].map(|value| scope(snapshot, value, 0).is_some());
        let first = snapshot(vec![organization(1, vec![a.clone(), b.clone()])]);
        let next = changed(&[&c], &[&a], &[b.clone(), c.clone()]);
        assert!(first.fits(&next));
        let second = first.after(2, false, vec![next.clone()], &[]);
        assert_eq!(known(&second), [false, true, true]);
        let same = changed(&[], &[], &[b.clone(), c.clone()]);
        assert!(second.fits(&same));
        let third = second.after(3, false, vec![same], &[]);
        let keys = |snapshot: &Snapshot| {
            let all: Vec<_> = snapshot.organizations().collect();
            Arc::as_ptr(all[0].keys())
        };
        assert_eq!(keys(&second), keys(&third), "shared");
        // A new organization has all of its keys among those that came.
        assert!(Snapshot::default().fits(&changed(&[&a], &[], std::slice::from_ref(&a))));
        assert!(!third.fits(&next), "it was applied already");
        let unfit = third.after(4, false, vec![next], &[]);
        assert_eq!(known(&unfit), [false; 3]);
        let all: Vec<_> = unfit.organizations().collect();
        assert_eq!(all[0].digest(), None, "the comparison will find it");
    }

    #[test]
    fn archiving_a_project_takes_its_keys_and_a_key_moves_with_its_organization() {
        let of_project = key("p", KeyKind::Project, Some(10));
        let first = snapshot(vec![organization(1, vec![of_project.clone()])]);
        let mut archived = organization(1, vec![of_project.clone()]);
        archived.projects[0].archived = true;
        let second = first.after(2, false, vec![archived], &[]);
        assert!(scope(&first, "p", 0).is_some() && scope(&second, "p", 0).is_none());
        let back = second.after(3, false, vec![organization(1, vec![of_project])], &[]);
        assert!(scope(&back, "p", 0).is_some());

        let admin = || vec![key("k", KeyKind::Admin, None)];
        let moved = [organization(1, Vec::new()), organization(2, admin())];
        for order in [[0, 1], [1, 0]] {
            let first = snapshot(vec![organization(1, admin())]);
            let changed = order.map(|index: usize| moved[index].clone());
            let second = first.after(2, false, changed.into(), &[]);
            assert_eq!(*caller(&second, "k").organization.id(), moved[1].id);
        }
    }

    #[test]
    fn whom_an_exchange_is_for_follows_the_rules() {
        let federated = |number, projects: &[u128]| {
            let rules = projects.iter().map(|project| BundleFederationRule {
                id: FederationRuleId::from_random(*project),
                provider: WorkloadIdentityProviderId::from_random(number),
                project: ProjectId::from_random(*project),
                service_account: ServiceAccountId::from_random(*project),
                admission: Sha256::of(b"admission"),
            });
            OrganizationBundle {
                federation: Some(BundleFederation {
                    keys: Vec::new(),
                    rules: rules.collect(),
                }),
                ..organization(number, Vec::new())
            }
        };
        let is_for = |snapshot: &Snapshot, provider, account| {
            let provider = WorkloadIdentityProviderId::from_random(provider);
            let caller = snapshot.admitting(&provider, &ServiceAccountId::from_random(account))?;
            Some(caller.identity.scope.clone())
        };
        // Its own project, an archived one, and another organization's.
        let first = snapshot(vec![federated(1, &[10, 11, 20]), federated(2, &[20])]);
        let scope = |project| Some(Scope::Project(ProjectId::from_random(project)));
        assert_eq!(is_for(&first, 1, 10), scope(10));
        assert_eq!(is_for(&first, 2, 20), scope(20));
        for (provider, account) in [(1, 11), (1, 20), (2, 10), (3, 10)] {
            assert_eq!(is_for(&first, provider, account), None);
        }
        let without = first.after(2, false, vec![organization(1, Vec::new())], &[]);
        assert_eq!(is_for(&without, 1, 10), None);
        assert_eq!(is_for(&without, 2, 20), scope(20));
        let back = without.after(3, false, vec![federated(1, &[10])], &[]);
        assert_eq!(is_for(&back, 1, 10), scope(10));
        let gone = back.after(4, false, Vec::new(), &[OrganizationId::from_random(1)]);
        assert_eq!(is_for(&gone, 1, 10), None);
        let complete = back.after(5, true, vec![federated(1, &[10])], &[]);
        assert_eq!(is_for(&complete, 2, 20), None);
        assert_eq!(is_for(&complete, 1, 10), scope(10));
    }
}
