//! The shortcut is sound: whatever is active before and after, the comparison says of every
//! workload what judging it on both sides says.

use std::{collections::BTreeMap, sync::LazyLock};

use countersign_server::preview::{Observed, compare};
use countersign_testca::{Name, oid, root};
use countersign_types::{
    bundle::{BundleCertificate, OrganizationBundle},
    certificate::Scope,
    error::ErrorCode,
    id::{CertificateId, ProjectId},
};
use countersign_verify::{
    judge::{Verdict, judge},
    trust::TrustSet,
};
use proptest::{
    prelude::*,
    sample::{Index, subsequence},
};

use crate::scene::{
    NOW, anchor, certificate, keep, organization, presented, project, seen, traffic,
};

const ANCHORS: u128 = 11;
const PROJECTS: u128 = 2;

struct Cast {
    anchors: Vec<BundleCertificate>,
    chains: Vec<Vec<Vec<u8>>>,
}

/// Anchors that share keys and names in every way, and chains that lead to several of them.
static CAST: LazyLock<Cast> = LazyLock::new(|| {
    let good = "subject.common_name == \"good\"";
    let (a, b) = (root("A").mint(), root("B").mint());
    let i = a.intermediate("I").mint();
    let crossed = b.intermediate("I").with_key(i.key()).mint();
    let j = i.intermediate("J").mint();
    let again = || root("A").with_key(a.key());
    let anchors = [
        (a.clone(), None),
        (again().mint(), Some(good)),
        (root("Another name").with_key(a.key()).mint(), None),
        (i.clone(), None),
        (crossed.clone(), Some(good)),
        (b.clone(), None),
        (root("B").with_key(b.key()).valid(1, 2).mint(), None),
        (again().path_len(0).mint(), None),
        // A's name and key identifier, another key: a direct candidate that fails.
        (root("A").ski(&a.key().identifier()).mint(), None),
        (again().mint(), Some("subject_alt_names[0].value == \"x\"")),
        (i.clone(), Some(good)),
    ];
    let anchors = anchors.iter().zip(0..);
    let leaf = |ca: &countersign_testca::Minted, name: &str| ca.leaf(name).mint();
    let chains = [
        vec![],
        vec![leaf(&a, "good")],
        vec![leaf(&a, "bad")],
        vec![leaf(&b, "good")],
        vec![leaf(&i, "good")],
        vec![leaf(&i, "good"), i.clone()],
        vec![leaf(&i, "bad"), i.clone(), crossed.clone()],
        vec![leaf(&i, "bad"), crossed.clone(), i.clone()],
        vec![leaf(&j, "good"), j.clone(), crossed.clone()],
        vec![leaf(&j, "bad"), j.clone(), i.clone()],
        vec![a.leaf("good").valid(1, 2).mint()],
        vec![a.leaf("good").eku(&[oid::SERVER_AUTH]).mint()],
        vec![a.leaf("good").no_aki().mint()],
        vec![
            a.leaf("good")
                .issuer_name(Name::common("Another name"))
                .mint(),
        ],
        vec![leaf(&root("Stranger").mint(), "good")],
    ];
    let ders = |chain: &Vec<countersign_testca::Minted>| {
        chain.iter().map(|one| one.der().to_vec()).collect()
    };
    let mut chains: Vec<Vec<Vec<u8>>> = chains.iter().map(ders).collect();
    chains.push(vec![b"no certificate".to_vec()]);
    Cast {
        anchors: anchors
            .map(|((minted, policy), number)| anchor(number, minted, *policy))
            .collect(),
        chains,
    }
});

/// What is active at the organization and at each project.
type Active = Vec<Vec<u128>>;

fn bundle(active: &Active) -> OrganizationBundle {
    let ids = |numbers: &[u128]| -> Vec<CertificateId> {
        numbers.iter().map(|number| certificate(*number)).collect()
    };
    let mut bundle = organization(PROJECTS);
    bundle.active = ids(&active[0]);
    for (project, active) in bundle.projects.iter_mut().zip(&active[1..]) {
        project.active = ids(active);
    }
    bundle.certificates.clone_from(&CAST.anchors);
    bundle
}

fn observed() -> Observed {
    let mut observed = traffic(Vec::new());
    let mut requests = 1;
    for chain in &CAST.chains {
        let digest = keep(&mut observed, chain);
        for at in [None, Some(0), Some(1)] {
            observed.workloads.push(seen(at, digest, requests));
            requests += 1;
        }
    }
    observed
}

/// What a comparison says, or what judging says: by the number of requests, which tells workloads
/// apart, the code after and before.
type Changes = BTreeMap<u64, (Option<ErrorCode>, Option<ErrorCode>)>;

fn expected(
    before: &OrganizationBundle,
    after: &OrganizationBundle,
    reach: &Scope,
) -> (Changes, [u64; 2], Option<u64>) {
    let (old, new) = (TrustSet::compile(before), TrustSet::compile(after));
    let (mut changes, mut still, mut last_used) = (Changes::new(), [0, 0], None);
    let enforced = |bundle: &OrganizationBundle, scope: &Scope, id: &CertificateId| match scope {
        Scope::Organization => bundle.active.contains(id),
        Scope::Project(project) => {
            let found = bundle.projects.iter().find(|one| one.id == *project);
            found.unwrap().active.contains(id)
        }
    };
    let mut requests = 0;
    for chain in &CAST.chains {
        for at in [None, Some(0), Some(1)] {
            requests += 1;
            let scope = at.map_or(Scope::Organization, |at| Scope::Project(project(at)));
            if *reach != Scope::Organization && *reach != scope {
                continue;
            }
            let verdict = |trust| judge(trust, &scope, &presented(chain), NOW);
            let code = |verdict: &Verdict| match verdict {
                Verdict::Refusal(refusal) => Some(refusal.code()),
                _ => None,
            };
            let (one, other) = (verdict(&old), verdict(&new));
            if let Verdict::Permit(permit) = &one
                && !enforced(after, permit.scope(), permit.anchor())
            {
                last_used = last_used.max(Some(NOW - requests));
            }
            match (code(&one), code(&other)) {
                (None, None) => still[0] += 1,
                (Some(_), Some(_)) => still[1] += 1,
                (before, after) => {
                    changes.insert(requests, (before, after));
                }
            }
        }
    }
    (changes, still, last_used)
}

fn check(before: &Active, after: &Active, reach: Option<ProjectId>) {
    let reach = reach.map_or(Scope::Organization, Scope::Project);
    let (old, new) = (bundle(before), bundle(after));
    let found = compare(&old, &new, &reach, &observed(), NOW);
    let mut changes = Changes::new();
    for one in &found.starts_to_fail {
        assert!(!one.reason.is_empty());
        changes.insert(one.requests, (None, one.code.known()));
    }
    for one in &found.starts_to_pass {
        changes.insert(one.requests, (one.code.known(), None));
    }
    let still = [found.still_passing, found.still_failing];
    let (expected, expected_still, last_used) = expected(&old, &new, &reach);
    assert_eq!(changes, expected, "{before:?} to {after:?}");
    assert_eq!(still, expected_still, "{before:?} to {after:?}");
    assert_eq!(found.last_used, last_used, "{before:?} to {after:?}");
    assert_eq!(found.unjudged, 0);
}

fn some() -> impl Strategy<Value = Vec<u128>> {
    let all: Vec<u128> = (0..ANCHORS).collect();
    subsequence(all, 0..=4).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Anchors come to one scope, after those that are there, or go from it.
    #[test]
    fn a_toggle(before in [some(), some(), some()], change in some(), place: Index, adds: bool) {
        let before = before.to_vec();
        let mut after = before.clone();
        let place = place.index(before.len());
        let here = &mut after[place];
        if adds {
            let there = here.clone();
            here.extend(change.iter().filter(|one| !there.contains(one)));
        } else {
            here.retain(|one| !change.contains(one));
        }
        let reach = (place > 0).then(|| project(u128::try_from(place).unwrap() - 1));
        check(&before, &after, reach.clone());
        // A promotion puts an anchor back where it stood, which may be before others.
        check(&after, &before, reach);
    }

    /// Anything may change: nothing is taken over from one side to the other.
    #[test]
    fn any_change(before in [some(), some(), some()], after in [some(), some(), some()]) {
        check(&before.to_vec(), &after.to_vec(), None);
    }
}
