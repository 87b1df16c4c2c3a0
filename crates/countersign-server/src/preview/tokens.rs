//! What a change does to tokens. Gateways count who called a project without a key, and with which chain; the
//! service account of a token is not counted. So a workload is taken to call as any service account that its
//! chain gets tokens of: losing one of them counts as being refused.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use countersign_types::{
    digest::ChainDigest,
    error::ErrorCode,
    id::ProjectId,
    preview::{NewlyAdmitted, TokensEffect},
};

use super::{
    observed::{Observed, leaf},
    sides::{Refused, SideVerdict},
};
use crate::{
    store::{ProvidersAndRules, StoreError, Workload},
    tokens::{Admissions, Named, Providers},
};

/// The providers and rules before a change and after it.
#[derive(Clone)]
pub(crate) struct TokenSides {
    sides: [Arc<Providers>; 2],
    changed: bool,
}

impl TokenSides {
    pub(super) fn new(
        before: ProvidersAndRules,
        after: ProvidersAndRules,
    ) -> Result<Self, StoreError> {
        let changed = before != after;
        let before = Arc::new(Providers::new(before)?);
        let after = if changed {
            Arc::new(Providers::new(after)?)
        } else {
            Arc::clone(&before)
        };
        Ok(Self {
            sides: [before, after],
            changed,
        })
    }
}

/// What is found of tokens.
pub(super) struct Tokens {
    of: TokenSides,
    /// The chain that was looked at last, and for what it gets tokens in each project.
    chain: Option<ChainDigest>,
    admissions: HashMap<ProjectId, Arc<[Admissions; 2]>>,
    workloads: TokensEffect,
    newly_admitted: BTreeSet<NewlyAdmitted>,
}

impl Tokens {
    /// None where there are no providers, and so no tokens.
    pub(super) fn new(of: TokenSides) -> Option<Self> {
        let none = of.sides.iter().all(|side| side.is_empty());
        (!none).then(|| Self {
            of,
            chain: None,
            admissions: HashMap::new(),
            workloads: TokensEffect::default(),
            newly_admitted: BTreeSet::new(),
        })
    }

    /// Looks at a workload that can call, with the verdicts on its chain. Why tokens that it may call with end,
    /// although the chain verifies.
    pub(super) fn ends(
        &mut self,
        workload: &Workload,
        part: &Observed,
        [before, after]: [&SideVerdict; 2],
    ) -> Option<Refused> {
        let project = workload.identity.project.as_ref()?;
        let chain = workload.identity.chain?;
        let der = part.chains.get(&chain)?.certificates.first()?;
        let admissions = self.admissions(project, chain, der);
        let [had, has] = &*admissions;
        // Tokens are given to verified certificates alone.
        let had = Some(had).filter(|_| before.is_permit());
        let has = Some(has).filter(|_| after.is_permit());
        if self.of.changed {
            self.note_admitted((project, chain), part, [had, has]);
        }
        let had = had.filter(|had| workload.identity.key.is_none() && had.is_some())?;
        self.workloads.workloads += 1;
        let last_seen = Some(workload.last_seen);
        self.workloads.last_seen = self.workloads.last_seen.max(last_seen);
        if after.refused().is_some() {
            return None;
        }
        let why_not = |named: &Named| match has {
            Some(has) => has.why_not(named).map(str::to_owned),
            None => Some("no trust anchor is enforced for the project any more".to_owned()),
        };
        let (named, why) = had
            .granted()
            .find_map(|named| Some((named, why_not(named)?)))?;
        Some(Refused {
            code: ErrorCode::InvalidApiKey,
            reason: reason(named, &why, has.is_some_and(Admissions::is_some)),
        })
    }

    fn admissions(
        &mut self,
        project: &ProjectId,
        chain: ChainDigest,
        der: &[u8],
    ) -> Arc<[Admissions; 2]> {
        if self.chain != Some(chain) {
            self.chain = Some(chain);
            self.admissions.clear();
        }
        if let Some(known) = self.admissions.get(project) {
            return Arc::clone(known);
        }
        let [before, after] = &self.of.sides;
        let had = before.admissions(project, der);
        let has = if self.of.changed {
            after.admissions(project, der)
        } else {
            had.clone()
        };
        let found = Arc::new([had, has]);
        self.admissions.insert(project.clone(), Arc::clone(&found));
        found
    }

    fn note_admitted(
        &mut self,
        (project, chain): (&ProjectId, ChainDigest),
        part: &Observed,
        [had, has]: [Option<&Admissions>; 2],
    ) {
        let (Some(has), Some(leaf)) = (has, leaf(part, chain)) else {
            return;
        };
        let new = has
            .granted()
            .filter(|named| had.is_none_or(|had| had.why_not(named).is_some()));
        self.newly_admitted
            .extend(new.map(|(provider, account)| NewlyAdmitted {
                project_id: project.clone(),
                service_account_id: account.clone(),
                workload_identity_provider_id: provider.clone(),
                leaf: leaf.clone(),
            }));
    }

    /// What was found, where providers or rules change.
    pub(super) fn finish(self) -> Option<TokensEffect> {
        self.of.changed.then(|| TokensEffect {
            newly_admitted: self.newly_admitted.into_iter().collect(),
            ..self.workloads
        })
    }
}

fn reason((provider, account): &Named, why: &str, has_others: bool) -> String {
    let mut text = format!("it gets no tokens of `{account}` by `{provider}` any more: {why}");
    if has_others {
        text += "; it still gets tokens of another service account, and it is not observed which it uses";
    }
    text
}
