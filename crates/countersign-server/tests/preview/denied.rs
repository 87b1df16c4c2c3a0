//! What a preview says of denials and floors is what then happens: over random ones, of each workload what judging
//! it before and after says.

use countersign_server::preview::compare;
use countersign_testca::{General, Minted, root};
use countersign_types::{
    bundle::{BundleDenial, BundleFloor, OrganizationBundle},
    certificate::{Enforcement, Scope},
    denial::DenialMatch,
    id::DenialId,
};
use countersign_verify::{
    denial::LeafIdentity,
    judge::{Verdict, judge},
    trust::TrustSet,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::scene::{
    NOW, anchor, certificate, keep, organization, presented, project, seen, traffic,
};

/// One of the ways in which a leaf can be denied.
fn matches(leaf: &Minted, way: usize) -> DenialMatch {
    let of = LeafIdentity::read(leaf.der()).unwrap();
    match way % 4 {
        0 => DenialMatch::LeafSha256(of.sha256),
        1 => DenialMatch::SpkiSha256(of.spki_sha256),
        2 => DenialMatch::IssuerAndSerial(of.issuer_and_serial),
        _ => DenialMatch::SubjectAltName(of.names[0].clone()),
    }
}

/// What is chosen of a denial: the leaf, the way, the project if there is one, and whether it is enforced, is over, or is
/// only reported.
type Chosen = (Index, usize, Option<u128>, u8);

fn denial(number: u128, leaves: &[Minted], (leaf, way, at, state): &Chosen) -> BundleDenial {
    BundleDenial {
        id: DenialId::from_random(number),
        name: "left".to_owned(),
        matches: matches(leaf.get(leaves), *way),
        project: at.map(project),
        enforcement: match state % 3 {
            0 => Enforcement::Report,
            _ => Enforcement::Enforce,
        },
        created_by: "key_1".parse().unwrap(),
        created_at: NOW,
        expires_at: (state % 3 == 1).then_some(NOW),
    }
}

fn chosen() -> impl Strategy<Value = Vec<Chosen>> {
    let at = prop_oneof![Just(None), Just(Some(0)), Just(Some(1))];
    vec((any::<Index>(), 0_usize..4, at, any::<u8>()), 0..4)
}

fn passes(bundle: &OrganizationBundle, scope: &Scope, leaf: &Minted) -> bool {
    let chain = presented(&[leaf.der().to_vec()]);
    let verdict = judge(&TrustSet::compile(bundle), scope, &chain, NOW);
    matches!(verdict, Verdict::Permit(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_preview_is_what_then_happens(
        before in chosen(), after in chosen(), floors in [0_u64..3, 0_u64..3],
    ) {
        let ca = root("CA").mint();
        let leaf = |number: i64| {
            let name = format!("{number}.example.com");
            ca.leaf(&name).san(General::dns(&name)).valid(1_700_000_000 + number, 1_900_000_000).mint()
        };
        let leaves: Vec<Minted> = (0..3).map(leaf).collect();
        let side = |chosen: &[Chosen], floor: u64| {
            let mut bundle = organization(2);
            bundle.certificates = vec![anchor(0, &ca, None)];
            bundle.certificates[0].floor = Some(BundleFloor {
                refuse_issued_before: 1_700_000_000 + floor,
                set_by: "key_1".parse().unwrap(),
                set_at: NOW,
            });
            bundle.active = vec![certificate(0)];
            bundle.denials = (0..).zip(chosen).map(|(number, each)| denial(number, &leaves, each)).collect();
            bundle
        };
        let (old, new) = (side(&before, floors[0]), side(&after, floors[1]));
        let mut observed = traffic(Vec::new());
        let (mut fail, mut pass) = (Vec::new(), Vec::new());
        let mut requests = 0;
        for leaf in &leaves {
            let digest = keep(&mut observed, &[leaf.der().to_vec()]);
            for at in [None, Some(0), Some(1)] {
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
