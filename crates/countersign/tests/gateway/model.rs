//! Random changes under load, with every response checked against a model: a request that overlaps a
//! change may be treated as before it or as after it, any other only as after it. Gateways stop and
//! start meanwhile.

use std::collections::BTreeSet;

use countersign_testca::{Minted, root};
use countersign_types::{certificate::Scope, id::CertificateId};

use crate::world::World;

const STEPS: usize = 40;
/// Two anchors that change, and one that is never active.
const CAS: usize = 3;

/// Which of the anchors are active, at the project and at the organization.
#[derive(Clone, Default)]
pub(crate) struct Model {
    project: BTreeSet<usize>,
    organization: BTreeSet<usize>,
}

impl Model {
    /// The code for a leaf of this CA, or for no leaf at all.
    pub(crate) fn code(&self, leaf: Option<usize>) -> &'static str {
        if self.project.is_empty() && self.organization.is_empty() {
            return "";
        }
        match leaf {
            None => "certificate_required",
            Some(ca) if self.project.contains(&ca) || self.organization.contains(&ca) => "",
            Some(_) => "certificate_verification_failed",
        }
    }

    /// The state after an anchor was toggled at a scope, and whether that activates it.
    pub(crate) fn toggled(&self, ca: usize, at_project: bool) -> (Self, bool) {
        let mut next = self.clone();
        let set = if at_project {
            &mut next.project
        } else {
            &mut next.organization
        };
        let activate = set.insert(ca);
        if !activate {
            set.remove(&ca);
        }
        (next, activate)
    }
}

/// A small generator: the same run each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

struct Cast {
    leaves: Vec<Minted>,
    ids: Vec<CertificateId>,
}

async fn cast(world: &World) -> Cast {
    let cas: Vec<Minted> = (0..CAS).map(|_| root("Client CA").mint()).collect();
    let mut ids = Vec::new();
    for ca in &cas {
        ids.push(world.upload(ca, None).await);
    }
    let leaves = cas.iter().map(|ca| ca.leaf("a").mint()).collect();
    Cast { leaves, ids }
}

impl Cast {
    /// The code of one request; `None` when it was cut.
    async fn ask(&self, world: &World, leaf: Option<usize>) -> Option<String> {
        let chain: Vec<&Minted> = leaf.map(|ca| &self.leaves[ca]).into_iter().collect();
        world.try_code(&chain, &world.key).await
    }
}

#[tokio::test]
async fn every_response_is_one_that_the_model_allows() {
    let mut world = World::new().await;
    let cast = cast(&world).await;
    let mut model = Model::default();
    let mut dice = Dice(20_261_123);
    for step in 0..STEPS {
        if dice.roll(8) == 0 {
            // A gateway that restarts enforces what it stored, then the current state.
            world.stop().await;
            world.start().await;
        }
        let (ca, at_project) = (dice.roll(CAS - 1), dice.roll(2) == 0);
        let asked = [None, Some(dice.roll(CAS)), Some(dice.roll(CAS))];
        let (next, activate) = model.toggled(ca, at_project);
        let scope = if at_project {
            world.scope()
        } else {
            Scope::Organization
        };
        let change = async {
            if activate {
                world.activate(&scope, &cast.ids[ca]).await;
            } else {
                world.deactivate(&scope, &cast.ids[ca]).await;
            }
        };
        let meanwhile = async {
            let mut answers = Vec::new();
            for leaf in asked {
                answers.push((leaf, cast.ask(&world, leaf).await));
            }
            answers
        };
        let ((), answers) = tokio::join!(change, meanwhile);
        for (leaf, code) in answers {
            let allowed = [model.code(leaf), next.code(leaf)];
            // Only what passed before and no longer does may be cut.
            let right = match &code {
                Some(code) => allowed.contains(&code.as_str()),
                None => allowed[0].is_empty() && !allowed[1].is_empty(),
            };
            assert!(right, "step {step}, {leaf:?}: {code:?}, not {allowed:?}");
        }
        model = next;
        for leaf in [None, Some(0), Some(1), Some(2)] {
            assert_eq!(
                cast.ask(&world, leaf).await.as_deref(),
                Some(model.code(leaf)),
                "step {step}, {leaf:?}"
            );
        }
    }
}
