//! What a preview says of revocation lists is what then happens: over random ones of a CA that is an anchor
//! twice, so that its lists stand at either, or at both, of each workload what judging it before and after says.

use countersign_server::preview::compare;
use countersign_testca::{Minted, root};
use countersign_types::{
    bundle::{BundleRevocation, CrlMissing, OrganizationBundle},
    certificate::Scope,
};
use countersign_verify::{
    certificate::Anchor,
    crl::read,
    judge::{Verdict, judge},
    trust::TrustSet,
};
use proptest::{collection::vec, prelude::*};

use crate::scene::{
    NOW, anchor, certificate, keep, organization, presented, project, seen, traffic,
};

/// What is chosen of an anchor: where it is active, what a missing list means, and its list: which leaves it names,
/// how old it is, and whether it is out of date.
#[derive(Debug, Clone)]
struct Chosen {
    at_organization: bool,
    at_project: bool,
    missing: Option<CrlMissing>,
    list: Option<(Vec<usize>, i64, bool)>,
}

fn chosen() -> impl Strategy<Value = [Chosen; 2]> {
    let missing = prop_oneof![
        Just(None),
        Just(Some(CrlMissing::Allow)),
        Just(Some(CrlMissing::Deny)),
    ];
    let list = (vec(0_usize..3, 0..3), 0_i64..3, any::<bool>());
    let one = (
        any::<bool>(),
        any::<bool>(),
        missing,
        proptest::option::of(list),
    );
    let one = one.prop_map(|(at_organization, at_project, missing, list)| Chosen {
        at_organization,
        at_project,
        missing,
        list,
    });
    [one.clone(), one]
}

fn revocation(ca: &Minted, leaves: &[Minted], chosen: &Chosen) -> Option<BundleRevocation> {
    let now = i64::try_from(NOW).unwrap();
    let list = chosen.list.as_ref().map(|(named, age, over)| {
        let end = if *over { now - 1 } else { now + 1000 };
        let named: std::collections::BTreeSet<_> = named.iter().collect();
        let empty = ca.crl().current(now - 500 - age, Some(end));
        let list = named
            .into_iter()
            .fold(empty, |list, leaf| list.revoke(&leaves[*leaf]));
        let anchor = Anchor::from_pem(&ca.pem()).unwrap();
        // It was current when it was added.
        let list = read(&list.mint(), &anchor, None, NOW - 400).unwrap();
        list.into_bundle()
    });
    if list.is_none() && chosen.missing.is_none() {
        return None;
    }
    Some(BundleRevocation {
        missing: chosen.missing.unwrap_or_default(),
        lists: list.into_iter().collect(),
    })
}

fn passes(bundle: &OrganizationBundle, scope: &Scope, leaf: &Minted) -> bool {
    let chain = presented(&[leaf.der().to_vec()]);
    let verdict = judge(&TrustSet::compile(bundle), scope, &chain, NOW);
    !matches!(verdict, Verdict::Refusal(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_preview_is_what_then_happens(before in chosen(), after in chosen()) {
        let first = root("CA").mint();
        let again = root("CA").with_key(first.key()).mint();
        let leaf = |number: usize| first.leaf(&format!("{number}.example.com")).mint();
        let leaves: Vec<Minted> = (0..3).map(leaf).collect();
        let side = |chosen: &[Chosen; 2]| {
            let mut bundle = organization(1);
            for (number, (ca, chosen)) in (0..).zip([&first, &again].into_iter().zip(chosen)) {
                let mut one = anchor(number, ca, None);
                one.revocation = revocation(ca, &leaves, chosen);
                bundle.certificates.push(one);
                if chosen.at_organization {
                    bundle.active.push(certificate(number));
                }
                if chosen.at_project {
                    bundle.projects[0].active.push(certificate(number));
                }
            }
            bundle
        };
        let (old, new) = (side(&before), side(&after));
        let mut observed = traffic(Vec::new());
        let (mut fail, mut pass) = (Vec::new(), Vec::new());
        let mut requests = 0;
        for leaf in &leaves {
            let digest = keep(&mut observed, &[leaf.der().to_vec()]);
            for at in [None, Some(0)] {
                requests += 1;
                observed.workloads.push(seen(at, digest, requests));
                let scope = at.map_or(Scope::Organization, |at| Scope::Project(project(at)));
                match [&old, &new].map(|bundle| passes(bundle, &scope, leaf)) {
                    [true, false] => fail.push(requests),
                    [false, true] => pass.push(requests),
                    _ => {}
                }
            }
        }
        let found = compare(&old, &new, &Scope::Organization, &observed, NOW);
        let of = |found: &[countersign_types::preview::PreviewedWorkload]| {
            let mut requests: Vec<u64> = found.iter().map(|each| each.requests).collect();
            requests.sort_unstable();
            requests
        };
        prop_assert_eq!(of(&found.starts_to_fail), fail);
        prop_assert_eq!(of(&found.starts_to_pass), pass);
    }
}
