//! Compares two states of an organization: a pure function of the organization before and after,
//! of who called with which chain, and of the time. Each chain is judged by the same `judge` as at
//! a gateway.

use std::collections::{BTreeMap, HashMap, HashSet};

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::OrganizationBundle,
    certificate::Scope,
    digest::{ChainDigest, Sha256},
    id::{ApiKeyId, ProjectId},
    preview::{PreviewedLeaf, PreviewedWorkload, WorkloadIdentity},
};
use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

use super::sides::{Denied, SideVerdict, Sides};
use crate::store::{ObservedIdentity, Workload};

/// The traffic of an organization, as it was observed.
#[derive(Debug, Default)]
pub struct Observed {
    /// Who called, with which chain.
    pub workloads: Vec<Workload>,
    /// The chains, by their digest.
    pub chains: HashMap<ChainDigest, ObservedIdentity>,
}

/// What differs between two states of an organization, for the traffic that was observed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Workloads that pass before and are refused after, those with the most requests first.
    pub starts_to_fail: Vec<PreviewedWorkload>,
    /// Workloads that are refused before and pass after, those with the most requests first.
    pub starts_to_pass: Vec<PreviewedWorkload>,
    /// How many workloads pass before and after.
    pub still_passing: u64,
    /// How many workloads are refused before and after.
    pub still_failing: u64,
    /// How many workloads were judged.
    pub workloads: u64,
    /// How many distinct chains they present.
    pub identities: u64,
    /// How many requests they made.
    pub requests: u64,
    /// How many workloads could not be judged, since their chain is not kept.
    pub unjudged: u64,
    /// When the first of them was first seen, in Unix seconds.
    pub since: Option<UnixSeconds>,
    /// When a workload was last seen that verifies under an anchor which the change removes.
    pub last_used: Option<UnixSeconds>,
    /// Projects that have keys and were not observed.
    pub unobserved_projects: Vec<ProjectId>,
}

/// Compares two states of an organization for what `reach` reaches: the organization's change
/// reaches everyone, a project's its own callers. Callers whose key or project is gone are refused
/// either way, and left out.
#[must_use]
pub fn compare(
    before: &OrganizationBundle,
    after: &OrganizationBundle,
    reach: &Scope,
    observed: &Observed,
    now: UnixSeconds,
) -> Comparison {
    let sides = Sides::new(before, after);
    let callers = Callers::new(after, reach, now);
    let reached: Vec<&Workload> = observed
        .workloads
        .iter()
        .filter(|workload| callers.call(workload))
        .collect();
    let mut comparing = Comparing {
        sides: &sides,
        observed,
        now,
        remembered: HashMap::new(),
        of_requests: HashMap::new(),
        found: Comparison::default(),
    };
    for workload in &reached {
        let sum = comparing.of_requests.entry(&workload.project).or_default();
        *sum += workload.requests;
    }
    for workload in &reached {
        comparing.add(workload);
    }
    let mut found = comparing.finish();
    found.unobserved_projects = callers.unobserved(&reached);
    found
}

/// The callers that a change reaches and that can call at all.
struct Callers<'a> {
    /// The projects, each with whether it has a valid key.
    projects: BTreeMap<&'a ProjectId, bool>,
    keys: HashMap<&'a ApiKeyId, Option<&'a ProjectId>>,
}

impl<'a> Callers<'a> {
    fn new(bundle: &'a OrganizationBundle, reach: &Scope, now: UnixSeconds) -> Self {
        let reached = |project: &ProjectId| reach.project().is_none_or(|one| one == project);
        let live = bundle.projects.iter().filter(|project| !project.archived);
        let mut projects: BTreeMap<_, _> = live
            .filter(|project| reached(&project.id))
            .map(|project| (&project.id, false))
            .collect();
        let mut keys = HashMap::new();
        for key in &bundle.keys {
            if key.expires_at.is_some_and(|end| end <= now) {
                continue;
            }
            let opens = match (key.kind, &key.project) {
                (KeyKind::Admin, None) => *reach == Scope::Organization,
                (KeyKind::Project, Some(project)) => projects
                    .get_mut(project)
                    .map(|has_key| *has_key = true)
                    .is_some(),
                _ => false,
            };
            if opens {
                keys.insert(&key.id, key.project.as_ref());
            }
        }
        Self { projects, keys }
    }

    fn call(&self, workload: &Workload) -> bool {
        match (&workload.key, &workload.project) {
            (Some(key), project) => self.keys.get(key) == Some(&project.as_ref()),
            (None, Some(project)) => self.projects.contains_key(project),
            (None, None) => false,
        }
    }

    fn unobserved(&self, reached: &[&Workload]) -> Vec<ProjectId> {
        let seen: HashSet<_> = reached
            .iter()
            .filter_map(|it| it.project.as_ref())
            .collect();
        let projects = self.projects.iter().filter(|(_, has_key)| **has_key);
        projects
            .map(|(project, _)| (*project).clone())
            .filter(|project| !seen.contains(project))
            .collect()
    }
}

/// A comparison under way.
struct Comparing<'a> {
    sides: &'a Sides,
    observed: &'a Observed,
    now: UnixSeconds,
    /// The verdicts by what is active for the caller and by the chain: each is judged once.
    remembered: HashMap<(usize, Option<ChainDigest>), [SideVerdict; 2]>,
    of_requests: HashMap<&'a Option<ProjectId>, u64>,
    found: Comparison,
}

impl<'a> Comparing<'a> {
    fn add(&mut self, workload: &'a Workload) {
        let scope = Scope::from(workload.project.clone());
        let key = (self.sides.class(&scope), workload.chain);
        if !self.remembered.contains_key(&key) {
            let Some(presented) = self.presented(workload.chain) else {
                self.found.unjudged += 1;
                return;
            };
            let verdicts = self.sides.judge(&scope, &presented, self.now);
            self.remembered.insert(key, verdicts);
        }
        let Some([before, after]) = self.remembered.get(&key) else {
            return;
        };
        let found = &mut self.found;
        found.workloads += 1;
        found.requests += workload.requests;
        let since = found.since.get_or_insert(workload.first_seen);
        *since = workload.first_seen.min(*since);
        if before.rests_on(|anchor, scope| self.sides.loses(anchor, scope)) {
            found.last_used = found.last_used.max(Some(workload.last_seen));
        }
        let of_requests = self.of_requests.get(&workload.project).copied();
        let shown = |denied: &Denied| PreviewedWorkload {
            identity: identity(self.observed, workload),
            code: denied.code,
            reason: denied.reason.clone(),
            last_seen: workload.last_seen,
            requests: workload.requests,
            of_requests: of_requests.unwrap_or(workload.requests),
        };
        match (before.denied(), after.denied()) {
            (None, Some(denied)) => found.starts_to_fail.push(shown(denied)),
            (Some(denied), None) => found.starts_to_pass.push(shown(denied)),
            (None, None) => found.still_passing += 1,
            (Some(_), Some(_)) => found.still_failing += 1,
        }
    }

    /// What a client presents; `None` when it is not kept.
    fn presented(&self, chain: Option<ChainDigest>) -> Option<Presented> {
        let Some(chain) = chain else {
            return Some(Presented::default());
        };
        let certificates = self.observed.chains.get(&chain)?.certificates.iter();
        let certificates = certificates.map(|der| CertificateDer::from(der.clone()));
        Some(Presented::new(certificates.collect()))
    }

    fn finish(self) -> Comparison {
        let mut found = self.found;
        let chains: HashSet<_> = self
            .remembered
            .keys()
            .filter_map(|(_, chain)| *chain)
            .collect();
        found.identities = u64::try_from(chains.len()).unwrap_or(u64::MAX);
        for list in [&mut found.starts_to_fail, &mut found.starts_to_pass] {
            list.sort_by(|a, b| {
                let name = |it: &PreviewedWorkload| {
                    let WorkloadIdentity { project, key, leaf } = &it.identity;
                    let leaf = leaf.as_ref().map(|leaf| leaf.sha256);
                    (project.clone(), key.clone(), leaf)
                };
                b.requests
                    .cmp(&a.requests)
                    .then_with(|| name(a).cmp(&name(b)))
            });
        }
        found
    }
}

/// Who a workload is, as the API shows it.
pub(crate) fn identity(observed: &Observed, workload: &Workload) -> WorkloadIdentity {
    WorkloadIdentity {
        project: workload.project.clone(),
        key: workload.key.clone(),
        leaf: workload.chain.and_then(|chain| leaf(observed, chain)),
    }
}

fn leaf(observed: &Observed, chain: ChainDigest) -> Option<PreviewedLeaf> {
    let identity = observed.chains.get(&chain)?;
    let der = identity.certificates.first()?;
    Some(PreviewedLeaf {
        sha256: Sha256::of(der),
        subject: identity.leaf.subject.clone(),
        sans: identity.leaf.names.clone(),
    })
}
