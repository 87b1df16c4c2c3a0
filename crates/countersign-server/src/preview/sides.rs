//! Two states of an organization's trust, and one chain judged under both.

use std::collections::{HashMap, HashSet};

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    error::ErrorCode,
    id::{CertificateId, ProjectId},
};
use countersign_verify::{
    judge::{Verdict, judge, judge_both},
    presented::Presented,
    refusal::Refusal,
    trust::TrustSet,
};

/// Which side enforces everything that the other does, in the same order, and more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Larger {
    Before,
    After,
    /// Each has something that the other lacks.
    Neither,
}

/// Trust before and after.
pub(super) struct Sides {
    before: TrustSet,
    after: TrustSet,
    larger: Larger,
    /// What is enforced only before, and only after.
    lost: HashSet<(Scope, CertificateId)>,
    gained: HashSet<(Scope, CertificateId)>,
    /// Scopes at which the same is enforced are one class: a chain gets the same verdict at them.
    classes: HashMap<Scope, usize>,
}

/// The verdict on a chain on one side.
#[derive(Clone)]
pub(super) enum SideVerdict {
    /// It verifies under this anchor, which is active at this scope.
    Permitted(CertificateId, Scope),
    /// Nothing is active.
    Open,
    Refused(Refused),
}

/// Why a chain is refused.
#[derive(Clone)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) reason: String,
}

impl SideVerdict {
    pub(super) const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Permitted(..) | Self::Open => None,
        }
    }

    pub(super) const fn is_permit(&self) -> bool {
        matches!(self, Self::Permitted(..))
    }

    /// Whether it is a permit under an anchor that passes this test.
    pub(super) fn rests_on(&self, is_so: impl Fn(&CertificateId, &Scope) -> bool) -> bool {
        match self {
            Self::Permitted(anchor, scope) => is_so(anchor, scope),
            Self::Open | Self::Refused(_) => false,
        }
    }
}

impl From<Verdict> for SideVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Permit(permit) => {
                Self::Permitted(permit.anchor().clone(), permit.scope().clone())
            }
            Verdict::NoAnchorApplies(_) => Self::Open,
            Verdict::Refusal(refusal) => Self::Refused(Refused {
                code: refusal.code(),
                reason: reason(&refusal),
            }),
        }
    }
}

/// The finding that got furthest, which is the one to act upon.
fn reason(refusal: &Refusal) -> String {
    let findings = refusal.trace().iter();
    let furthest = findings.rev().max_by_key(|finding| finding.step);
    furthest.map_or_else(String::new, |finding| finding.reason.to_string())
}

impl Sides {
    pub(super) fn new(before: &OrganizationBundle, after: &OrganizationBundle) -> Self {
        let (old, new) = (enforced(before), enforced(after));
        let (lost, gained) = (without(&old, &new), without(&new, &old));
        // Lists of every anchor count, so what is gone or new may have refused, or said better.
        let mut lists = before.revocation_lists().chain(after.revocation_lists());
        let larger = if lists.next().is_some() || !alike(before, after) || !in_one_order(&old, &new)
        {
            Larger::Neither
        } else if lost.is_empty() {
            Larger::After
        } else if gained.is_empty() {
            Larger::Before
        } else {
            Larger::Neither
        };
        // A project that something is denied in alone is judged as no other.
        let denials = before.denials.iter().chain(&after.denials);
        let denying: HashSet<&ProjectId> =
            denials.filter_map(|each| each.project.as_ref()).collect();
        let own = |scope: &Scope| scope.project().filter(|id| denying.contains(id)).cloned();
        let mut known = HashMap::new();
        let mut classes = HashMap::new();
        for scope in new.keys() {
            let here = [old.get(scope).copied(), new.get(scope).copied()];
            // A project where nothing is active is judged as admin keys are: by the organization.
            let here = scope.project().map_or([Some(&[][..]); 2], |_| here);
            let next = known.len();
            let class = known.entry((own(scope), here)).or_insert(next);
            classes.insert(scope.clone(), *class);
        }
        Self {
            before: TrustSet::compile(before),
            after: TrustSet::compile(after),
            larger,
            lost,
            gained,
            classes,
        }
    }

    /// The class of a scope that is there after.
    pub(super) fn class(&self, scope: &Scope) -> usize {
        self.classes.get(scope).copied().unwrap_or(usize::MAX)
    }

    /// Whether an anchor is enforced before and not after.
    pub(super) fn loses(&self, anchor: &CertificateId, scope: &Scope) -> bool {
        !self.lost.is_empty() && self.lost.contains(&(scope.clone(), anchor.clone()))
    }

    fn differs(&self, anchor: &CertificateId, scope: &Scope) -> bool {
        let place = (scope.clone(), anchor.clone());
        self.lost.contains(&place) || self.gained.contains(&place)
    }

    /// The verdicts on a chain before and after.
    ///
    /// Where one side is the larger, it is judged first, and what it permits under an anchor that
    /// both have is permitted by the other under the same anchor: to be selected, that anchor is
    /// the first that verifies, on the direct path or, where no direct candidate failed, on the
    /// shortest of the chain paths in their order. The other side has fewer candidates and fewer
    /// paths in the same order, so none comes before it there, none fails that did not fail here,
    /// and no budget ends that lasted. A refusal says nothing of the other side: an anchor that is
    /// gone may have been what refused.
    pub(super) fn judge(
        &self,
        scope: &Scope,
        presented: &Presented,
        now: UnixSeconds,
    ) -> [SideVerdict; 2] {
        let under = |trust| SideVerdict::from(judge(trust, scope, presented, now));
        let same = self.larger != Larger::Neither && self.lost.is_empty() && self.gained.is_empty();
        let carries = |verdict: &SideVerdict| match verdict {
            SideVerdict::Permitted(anchor, at) => !self.differs(anchor, at),
            // Where nothing is active on the larger side, nothing is active on the other.
            SideVerdict::Open => true,
            SideVerdict::Refused(_) => same,
        };
        match self.larger {
            Larger::Neither => {
                let sides = [&self.before, &self.after];
                judge_both(sides, scope, presented, now).map(SideVerdict::from)
            }
            Larger::Before => {
                let before = under(&self.before);
                let after = if carries(&before) {
                    before.clone()
                } else {
                    under(&self.after)
                };
                [before, after]
            }
            Larger::After => {
                let after = under(&self.after);
                let before = if carries(&after) {
                    after.clone()
                } else {
                    under(&self.before)
                };
                [before, after]
            }
        }
    }
}

type Enforced<'a> = HashMap<Scope, &'a [CertificateId]>;

fn enforced(bundle: &OrganizationBundle) -> Enforced<'_> {
    let projects = bundle.projects.iter();
    let projects =
        projects.map(|project| (Scope::Project(project.id.clone()), &project.active[..]));
    projects
        .chain([(Scope::Organization, &bundle.active[..])])
        .collect()
}

/// What is enforced in one and not in the other.
fn without(one: &Enforced<'_>, other: &Enforced<'_>) -> HashSet<(Scope, CertificateId)> {
    let mut found = HashSet::new();
    for (scope, ids) in one {
        let there = other.get(scope).copied().unwrap_or_default();
        let only = ids.iter().filter(|id| !there.contains(id));
        found.extend(only.map(|id| (scope.clone(), id.clone())));
    }
    found
}

/// Whether the anchors that both sides enforce at a scope are tried in the same order.
fn in_one_order(one: &Enforced<'_>, other: &Enforced<'_>) -> bool {
    one.iter().all(|(scope, here)| {
        let there = other.get(scope).copied().unwrap_or_default();
        let of_here = here.iter().filter(|id| there.contains(id));
        of_here.eq(there.iter().filter(|id| here.contains(id)))
    })
}

/// Whether the projects, the denials, and the certificates that both sides have, are the same.
fn alike(before: &OrganizationBundle, after: &OrganizationBundle) -> bool {
    let ids = |bundle: &OrganizationBundle| -> HashSet<_> {
        bundle.projects.iter().map(|it| it.id.clone()).collect()
    };
    let known: HashMap<_, _> = before.certificates.iter().map(|it| (&it.id, it)).collect();
    let same = |it: &countersign_types::bundle::BundleCertificate| {
        known.get(&it.id).is_none_or(|before| *before == it)
    };
    before.denials == after.denials
        && ids(before) == ids(after)
        && after.certificates.iter().all(same)
}
