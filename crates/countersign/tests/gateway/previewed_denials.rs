//! A preview of denials and floors is right: random ones under real traffic, each previewed, made, and checked with
//! the same traffic again. `COUNTERSIGN_PREVIEW_DENIALS` says how many, `--no-capture` shows the figures.

use countersign_client::ListParams;
use countersign_types::{
    certificate::{Enforcement, Scope},
    denial::{DenialCreateRequest, DenialMatch},
    id::{DenialId, ProjectId},
    preview::TrustChange,
};
use countersign_verify::denial::LeafIdentity;

use crate::{
    model::Dice,
    previewed::{Codes, Scene, named},
};

const CHANGES: usize = 12;

/// One of the ways in which a leaf can be denied.
fn matches(leaf: &LeafIdentity, dice: &mut Dice) -> DenialMatch {
    match dice.roll(4) {
        0 => DenialMatch::LeafSha256(leaf.sha256),
        1 => DenialMatch::SpkiSha256(leaf.spki_sha256),
        2 => DenialMatch::IssuerAndSerial(leaf.issuer_and_serial.clone()),
        _ => DenialMatch::SubjectAltName(leaf.names[0].clone()),
    }
}

/// Everywhere, or at one of the projects that are not archived.
fn at(scene: &Scene, dice: &mut Dice) -> Option<ProjectId> {
    let callers = [None, Some(0), Some(2), Some(3)];
    let caller = callers[dice.roll(callers.len())]?;
    scene.callers[caller].project.clone()
}

fn enforcement(dice: &mut Dice) -> Enforcement {
    match dice.roll(5) {
        0 => Enforcement::Report,
        _ => Enforcement::Enforce,
    }
}

/// Another denial, the end of one that there is, or another floor.
fn roll(scene: &Scene, denials: &[DenialId], number: usize, dice: &mut Dice) -> TrustChange {
    let leaves: Vec<&LeafIdentity> = scene
        .clients
        .iter()
        .filter_map(|client| client.identity.as_ref())
        .collect();
    let leaf = leaves[dice.roll(leaves.len())];
    match dice.roll(6) {
        0 | 1 if !denials.is_empty() => TrustChange::DeleteDenial {
            denial_id: denials[dice.roll(denials.len())].clone(),
        },
        2 | 3 => {
            let floor = leaf.not_before + u64::try_from(dice.roll(2)).unwrap();
            TrustChange::SetCertificateFloor {
                certificate_id: scene.anchors[dice.roll(scene.anchors.len())].clone(),
                refuse_issued_before: (dice.roll(3) > 0).then_some(floor),
                enforcement: enforcement(dice),
            }
        }
        _ => TrustChange::CreateDenial(DenialCreateRequest {
            name: format!("number {number}"),
            reason: None,
            matches: matches(leaf, dice),
            project_id: at(scene, dice),
            enforcement: enforcement(dice),
            expires_at: None,
        }),
    }
}

/// Previews a change, makes it, has everyone call again, and compares; how many are refused and let through by it.
async fn check(scene: &mut Scene, change: TrustChange, before: &Codes) -> (Codes, [usize; 2]) {
    let said = format!("{change:?}");
    let change = [change];
    let previewed = scene.world.api.preview_changes(&change).await.unwrap();
    let effect = previewed.value.effect;
    scene.world.api.make_changes(&change).await.unwrap();
    let revision = scene.world.store.revision().await.unwrap();
    scene.world.enforced(revision).await;
    let after = scene.call().await;
    let [failing, passing] = scene.differences(&Scope::Organization, before, &after);
    let counts = [failing.len(), passing.len()];
    assert_eq!(named(&effect.starts_to_fail), failing, "{said}: refused");
    assert_eq!(named(&effect.starts_to_pass), passing, "{said}: let in");
    assert_eq!(effect.unjudged, 0, "{said}: {effect:?}");
    (after, counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_denials_and_floors_shows_what_they_do() {
    let mut scene = Scene::new().await;
    // While nothing is active, every chain passes and is kept.
    scene.call().await;
    let (organization, project) = (Scope::Organization, scene.world.scope());
    scene.world.activate(&organization, &scene.anchors[0]).await;
    scene.world.activate(&organization, &scene.anchors[2]).await;
    scene.world.activate(&project, &scene.anchors[5]).await;
    let mut codes = scene.call().await;
    let changes = std::env::var("COUNTERSIGN_PREVIEW_DENIALS");
    let changes: usize = changes.map_or(CHANGES, |count| count.parse().unwrap());
    let (mut dice, mut sum) = (Dice(20_261_126), [0; 2]);
    for number in 0..changes {
        let (api, all) = (scene.world.api.denials(), ListParams::default());
        let listed = api.list(&all).await.unwrap();
        let denials: Vec<DenialId> = listed.data.iter().map(|each| each.id.clone()).collect();
        let change = roll(&scene, &denials, number, &mut dice);
        let (after, [failing, passing]) = check(&mut scene, change, &codes).await;
        codes = after;
        sum = [sum[0] + failing, sum[1] + passing];
    }
    let [failed, passed] = sum;
    let workloads = codes.len();
    println!(
        "{changes} changes over {workloads} workloads: {failed} refusals and {passed} passes foretold"
    );
    assert!(failed > 0 && passed > 0, "nothing was put to the test");
}
