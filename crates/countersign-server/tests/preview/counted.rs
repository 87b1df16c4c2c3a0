//! Who is looked at, and what is said where nothing is known.

use countersign_server::preview::compare;
use countersign_testca::root;
use countersign_types::{certificate::Scope, digest::Sha256, error::ErrorCode};

use crate::scene::{
    NOW, anchor, certificate, keep, key, organization, presented, project, seen, traffic,
};

fn here(number: u128) -> Scope {
    Scope::Project(project(number))
}

#[test]
fn callers_that_are_gone_are_left_out() {
    let before = organization(4);
    let mut after = before.clone();
    after.active = vec![certificate(0)];
    after.certificates = vec![anchor(0, &root("A").mint(), None)];
    let mut gone = [before, after];
    for bundle in &mut gone {
        bundle.projects[1].archived = true;
        bundle.keys.retain(|one| one.id != key(2));
        bundle.keys[2].expires_at = Some(NOW);
    }
    let mut workloads: Vec<_> = (0..4).map(|at| seen(Some(at), None, 1)).collect();
    // A key that belongs to another project, as it never could have called.
    let mut foreign = seen(Some(3), None, 1);
    foreign.identity.key = Some(key(0));
    workloads.push(foreign);
    let found = compare(
        &gone[0],
        &gone[1],
        &Scope::Organization,
        &traffic(workloads),
        NOW,
    );
    let failing: Vec<_> = found
        .starts_to_fail
        .iter()
        .map(|it| it.identity.project.clone())
        .collect();
    assert_eq!(failing, [Some(project(0))]);
    assert_eq!(
        (found.workloads, found.requests, found.identities),
        (1, 1, 0)
    );
}

#[test]
fn a_project_without_observations_is_named_and_a_gone_one_is_not() {
    let mut before = organization(3);
    before.projects[2].archived = true;
    let mut after = before.clone();
    after.active = vec![certificate(0)];
    after.certificates = vec![anchor(0, &root("A").mint(), None)];
    let nothing = compare(
        &before,
        &after,
        &Scope::Organization,
        &traffic(Vec::new()),
        NOW,
    );
    assert_eq!(nothing.workloads, 0);
    assert_eq!(nothing.since, None);
    let mut projects = vec![project(0), project(1)];
    projects.sort();
    assert_eq!(nothing.unobserved_projects, projects);
    let some = traffic(vec![seen(Some(0), None, 1)]);
    let found = compare(&before, &after, &Scope::Organization, &some, NOW);
    assert_eq!(found.unobserved_projects, [project(1)]);
    let found = compare(&before, &after, &here(1), &some, NOW);
    assert_eq!(
        (found.workloads, found.unobserved_projects),
        (0, vec![project(1)])
    );
}

#[test]
fn a_chain_that_is_not_kept_is_not_called_safe() {
    let ca = root("A").mint();
    let before = organization(1);
    let mut after = before.clone();
    after.active = vec![certificate(0)];
    after.certificates = vec![anchor(0, &ca, None)];
    let lost = presented(&[ca.leaf("a").mint().der().to_vec()]).sha256();
    let observed = traffic(vec![seen(Some(0), Some(lost), 7)]);
    let found = compare(&before, &after, &here(0), &observed, NOW);
    assert_eq!(
        (found.unjudged, found.workloads, found.still_passing),
        (1, 0, 0)
    );
}

#[test]
fn a_workload_is_named_with_its_leaf_its_reason_and_its_share() {
    let (old, new) = (root("Old").mint(), root("New").mint());
    let mut before = organization(2);
    before.projects[0].active = vec![certificate(0), certificate(1)];
    before.certificates = vec![anchor(0, &old, None), anchor(1, &new, None)];
    let mut after = before.clone();
    after.projects[0].active = vec![certificate(1)];
    let mut observed = traffic(Vec::new());
    let leaves = [&old, &new].map(|ca| ca.leaf("billing").mint());
    for (leaf, requests) in leaves.iter().zip([30, 10]) {
        let digest = keep(&mut observed, &[leaf.der().to_vec()]);
        observed.workloads.push(seen(Some(0), digest, requests));
    }
    observed.workloads.push(seen(Some(1), None, 5));
    let found = compare(&before, &after, &here(0), &observed, NOW);
    let [failing] = found.starts_to_fail.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(failing.code, ErrorCode::CertificateVerificationFailed);
    assert_eq!((failing.requests, failing.of_requests), (30, 40));
    assert_eq!(failing.last_seen, NOW - 30);
    assert!(
        failing
            .reason
            .contains("its issuer, `CN=Old`, key identifier"),
        "{}",
        failing.reason
    );
    let leaf = failing.identity.leaf.as_ref().unwrap();
    assert!(leaf.subject.contains("billing"), "{}", leaf.subject);
    assert_ne!(leaf.sha256, Sha256::ZERO);
    assert_eq!((found.still_passing, found.last_used), (1, Some(NOW - 30)));
}
