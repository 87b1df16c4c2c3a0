//! Compares two states of an organization: a pure function of the organization before and after,
//! of who called with which chain, and of the time. Each chain is judged by the same `judge` as at
//! a gateway. The traffic may come in parts, if the workloads of one chain stand together.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::OrganizationBundle,
    certificate::Scope,
    digest::ChainDigest,
    error::ErrorCode,
    id::{ApiKeyId, ProjectId},
    live_streams::StreamsEffect,
    preview::{Effect, PreviewedWorkload, TokensEffect},
    workload::WorkloadIdentity,
};
use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

use super::{
    observed::{Observed, leaf},
    sides::{Refused, SideVerdict, Sides},
    tokens::{TokenSides, Tokens},
};
use crate::store::{LiveStreams, Workload};

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
    /// What the change does to streams that are under way; none where no gateway reports them.
    pub streams: Option<StreamsEffect>,
    /// What it does to tokens; none where no provider or rule changes.
    pub tokens: Option<TokensEffect>,
}

/// Compares two states of an organization for what `reach` reaches: the organization's change
/// reaches everyone, a project's its own callers. Callers whose key or project is gone before are
/// refused either way, and left out; those that lose it are refused after.
#[must_use]
pub fn compare(
    before: &OrganizationBundle,
    after: &OrganizationBundle,
    reach: &Scope,
    observed: &Observed,
    now: UnixSeconds,
) -> Comparison {
    let mut comparing = Comparing::new([before, after], reach, now);
    let mut workloads: Vec<_> = observed.workloads.iter().collect();
    workloads.sort_by_key(|workload| workload.identity.chain);
    for workload in workloads {
        comparing.judge(workload, observed);
    }
    comparing.finish()
}

/// The callers that a change reaches and that can call at all.
struct Callers {
    /// The projects, each with whether it has a valid key.
    projects: BTreeMap<ProjectId, bool>,
    keys: HashMap<ApiKeyId, Option<ProjectId>>,
}

impl Callers {
    fn new(bundle: &OrganizationBundle, reach: &Scope, now: UnixSeconds) -> Self {
        let reached = |project: &ProjectId| reach.project().is_none_or(|one| one == project);
        let live = bundle.projects.iter().filter(|project| !project.archived);
        let mut projects: BTreeMap<_, _> = live
            .filter(|project| reached(&project.id))
            .map(|project| (project.id.clone(), false))
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
                keys.insert(key.id.clone(), key.project.clone());
            }
        }
        Self { projects, keys }
    }

    fn call(&self, workload: &Workload) -> bool {
        match (&workload.identity.key, &workload.identity.project) {
            (Some(key), project) => self.keys.get(key) == Some(project),
            (None, Some(project)) => self.projects.contains_key(project),
            (None, None) => false,
        }
    }

    fn unobserved(&self, seen: &HashMap<Option<ProjectId>, u64>) -> Vec<ProjectId> {
        let projects = self.projects.iter().filter(|(_, has_key)| **has_key);
        projects
            .map(|(project, _)| Some(project.clone()))
            .filter(|project| !seen.contains_key(project))
            .flatten()
            .collect()
    }
}

impl Comparison {
    /// What was found, as the API shows it.
    pub(super) fn into_effect(self, judged_at: UnixSeconds) -> Effect {
        Effect {
            knows_nothing: self.workloads == 0,
            unobserved_projects: self.unobserved_projects,
            since: self.since,
            judged_at,
            workloads: self.workloads,
            identities: self.identities,
            requests: self.requests,
            starts_to_fail: self.starts_to_fail,
            starts_to_pass: self.starts_to_pass,
            still_passing: self.still_passing,
            still_failing: self.still_failing,
            unjudged: self.unjudged,
            last_used: self.last_used,
            breaks_assertions: Vec::new(),
            streams: self.streams,
            tokens: self.tokens,
            not_enforced_by: Vec::new(),
        }
    }
}

/// A comparison under way. It keeps sums, and who starts to fail or to pass.
pub(crate) struct Comparing {
    sides: Sides,
    /// Who can call before, and after.
    callers: [Callers; 2],
    now: UnixSeconds,
    of_requests: HashMap<Option<ProjectId>, u64>,
    /// The chain that was judged last, and the verdicts by what is active for the caller: each chain
    /// is judged once for that.
    chain: Option<ChainDigest>,
    verdicts: HashMap<usize, Arc<[SideVerdict; 2]>>,
    found: Comparison,
    /// The streams under way of workloads that were not judged yet.
    live: LiveStreams,
    /// What tokens are given by, if it was read.
    tokens: Option<Tokens>,
}

impl Comparing {
    /// Begins a comparison, as [`compare`] makes it.
    pub(crate) fn new(
        [before, after]: [&OrganizationBundle; 2],
        reach: &Scope,
        now: UnixSeconds,
    ) -> Self {
        Self {
            sides: Sides::new(before, after),
            callers: [before, after].map(|bundle| Callers::new(bundle, reach, now)),
            now,
            of_requests: HashMap::new(),
            chain: None,
            verdicts: HashMap::new(),
            found: Comparison::default(),
            live: LiveStreams::default(),
            tokens: None,
        }
    }

    /// Counts as refused, too, who gets no tokens any more.
    pub(crate) fn with_tokens(mut self, sides: Option<TokenSides>) -> Self {
        self.tokens = sides.and_then(Tokens::new);
        self
    }

    /// Counts what is cut of these streams.
    pub(crate) fn with_live(mut self, live: LiveStreams) -> Self {
        self.found.streams = live.as_of.map(|as_of| StreamsEffect {
            cut: 0,
            unknown: 0,
            as_of,
            silent_gateways: live.silent_gateways,
        });
        self.live = live;
        self
    }

    /// Judges a part of the traffic: workloads, of which those of one chain stand together, and the
    /// chains that they present as far as these are kept.
    pub(crate) fn add(&mut self, part: &Observed) {
        for workload in &part.workloads {
            self.judge(workload, part);
        }
    }

    fn judge(&mut self, workload: &Workload, part: &Observed) {
        let [before, after] = &self.callers;
        let (could_call, can_call) = (before.call(workload), after.call(workload));
        if !could_call && !can_call {
            return;
        }
        let sum = self.of_requests.entry(workload.identity.project.clone());
        *sum.or_default() += workload.requests;
        match self.verdicts(workload, part) {
            verdicts if !can_call => self.count_gone(workload, part, verdicts.as_deref()),
            None => self.found.unjudged += 1,
            Some(verdicts) => {
                let [before, after] = &*verdicts;
                let tokens = self.tokens.as_mut();
                match tokens.and_then(|tokens| tokens.ends(workload, part, [before, after])) {
                    None => self.count(workload, part, [before, after]),
                    Some(refused) => {
                        let last_used = &mut self.found.last_used;
                        *last_used = (*last_used).max(Some(workload.last_seen));
                        self.count(workload, part, [before, &SideVerdict::Refused(refused)]);
                    }
                }
            }
        }
    }

    /// Counts a workload whose key or project goes. It is refused afterwards, whatever it presents.
    fn count_gone(
        &mut self,
        workload: &Workload,
        part: &Observed,
        verdicts: Option<&[SideVerdict; 2]>,
    ) {
        let before = verdicts.map_or(&SideVerdict::Open, |[before, _]| before);
        if before.refused().is_none() {
            self.found.last_used = self.found.last_used.max(Some(workload.last_seen));
        }
        let gone = SideVerdict::Refused(Refused {
            code: ErrorCode::InvalidApiKey,
            reason: "its key is deleted, or its project archived".to_owned(),
        });
        self.count(workload, part, [before, &gone]);
    }

    fn count(&mut self, workload: &Workload, part: &Observed, [before, after]: [&SideVerdict; 2]) {
        let found = &mut self.found;
        found.workloads += 1;
        found.requests += workload.requests;
        let since = found.since.get_or_insert(workload.first_seen);
        *since = workload.first_seen.min(*since);
        if before.rests_on(|anchor, scope| self.sides.loses(anchor, scope)) {
            found.last_used = found.last_used.max(Some(workload.last_seen));
        }
        let streams = self.live.of_workloads.remove(&workload.identity);
        let streams = streams.unwrap_or_default();
        self.live.streams = self.live.streams.saturating_sub(streams);
        if let Some(effect) = &mut found.streams
            && before.refused().is_none()
            && after.refused().is_some()
        {
            effect.cut += streams;
        }
        let reported = found.streams.map(|_| streams);
        let shown = |refused: &Refused| PreviewedWorkload {
            identity: identity(part, workload),
            code: refused.code.into(),
            reason: refused.reason.clone(),
            last_seen: workload.last_seen,
            requests: workload.requests,
            // Known at the end.
            of_requests: 0,
            streams: reported,
        };
        match (before.refused(), after.refused()) {
            (None, Some(refused)) => found.starts_to_fail.push(shown(refused)),
            (Some(refused), None) => found.starts_to_pass.push(shown(refused)),
            (None, None) => found.still_passing += 1,
            (Some(_), Some(_)) => found.still_failing += 1,
        }
    }

    /// The verdicts on a workload; `None` where its chain is not kept.
    fn verdicts(&mut self, workload: &Workload, part: &Observed) -> Option<Arc<[SideVerdict; 2]>> {
        let chain = workload.identity.chain;
        if self.chain != chain {
            self.chain = chain;
            self.verdicts.clear();
        }
        let scope = Scope::from(workload.identity.project.clone());
        let class = self.sides.class(&scope);
        if let Some(known) = self.verdicts.get(&class) {
            return Some(Arc::clone(known));
        }
        let presented = presented(part, chain)?;
        if chain.is_some() && self.verdicts.is_empty() {
            self.found.identities += 1;
        }
        let judged = Arc::new(self.sides.judge(&scope, &presented, self.now));
        self.verdicts.insert(class, Arc::clone(&judged));
        Some(judged)
    }

    /// What was found in all parts.
    pub(crate) fn finish(self) -> Comparison {
        let mut found = self.found;
        let [before, _] = &self.callers;
        found.unobserved_projects = before.unobserved(&self.of_requests);
        found.tokens = self.tokens.and_then(Tokens::finish);
        if let Some(effect) = &mut found.streams {
            effect.unknown = self.live.streams;
        }
        for list in [&mut found.starts_to_fail, &mut found.starts_to_pass] {
            for workload in &mut *list {
                let of_requests = self.of_requests.get(&workload.identity.project);
                workload.of_requests = of_requests.copied().unwrap_or(workload.requests);
            }
            list.sort_by(|a, b| {
                b.requests
                    .cmp(&a.requests)
                    .then_with(|| a.identity.cmp(&b.identity))
            });
        }
        found
    }
}

/// What a client presents; `None` when it is not kept.
fn presented(part: &Observed, chain: Option<ChainDigest>) -> Option<Presented> {
    let Some(chain) = chain else {
        return Some(Presented::default());
    };
    let certificates = &part.chains.get(&chain)?.certificates;
    if certificates.is_empty() {
        return None;
    }
    let certificates = certificates.iter();
    let certificates = certificates.map(|der| CertificateDer::from(der.clone()));
    Some(Presented::new(certificates.collect()))
}

/// Who a workload is, as the API shows it.
fn identity(observed: &Observed, workload: &Workload) -> WorkloadIdentity {
    WorkloadIdentity {
        project: workload.identity.project.clone(),
        key: workload.identity.key.clone(),
        leaf: workload
            .identity
            .chain
            .and_then(|chain| leaf(observed, chain)),
    }
}
