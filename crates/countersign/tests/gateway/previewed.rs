//! A preview is right: random changes of trust under real traffic, each previewed, made, and checked
//! with the same traffic again. `COUNTERSIGN_PREVIEW_CHANGES` says how many, `--no-capture` shows the figures.

use std::{collections::BTreeMap, time::Duration};

use countersign_testca::{General, KeyKind, Minted, oid, root};
use countersign_types::{
    certificate::{Enforcement, Scope},
    digest::KeyDigest,
    id::{ApiKeyId, CertificateId, ProjectId},
    preview::{PreviewedWorkload, TogglePreview},
};

use countersign_verify::{certificate::LeafSummary, denial::LeafIdentity};

use crate::{
    client::{Connection, Tls},
    model::Dice,
    observations::until,
    world::{World, make_project},
};

const CHANGES: usize = 12;

/// A key and its project; the admin key has none.
pub(crate) struct Caller {
    pub(crate) project: Option<ProjectId>,
    id: ApiKeyId,
    value: String,
}

/// A client that keeps its connection.
pub(crate) struct Client {
    tls: Tls,
    connection: Connection,
    /// Its leaf's subject.
    leaf: Option<String>,
    /// What its leaf can be denied by.
    pub(crate) identity: Option<LeafIdentity>,
}

impl Client {
    async fn open(world: &World, chain: &[&Minted]) -> Self {
        let subject = |leaf: &&Minted| LeafSummary::of(leaf.der()).subject;
        let identity = |leaf: &&Minted| LeafIdentity::read(leaf.der()).unwrap();
        let tls = world.tls(chain);
        Self {
            connection: tls.connect(world.address()).await,
            tls,
            leaf: chain.first().map(subject),
            identity: chain.first().map(identity),
        }
    }

    async fn code(&mut self, world: &World, caller: &Caller) -> String {
        let path = match caller.project {
            Some(_) => "/v1/echo",
            None => "/v1/organization/certificates",
        };
        loop {
            match self.connection.try_get(path, &caller.value, "").await {
                Some(answer) => return answer.code(),
                None => self.connection = self.tls.connect(world.address()).await,
            }
        }
    }
}

/// The code that every caller gets with every client, by their indexes.
pub(crate) type Codes = BTreeMap<(usize, usize), String>;
/// Workloads as a preview names them: key, leaf and code; in order.
pub(crate) type Named = Vec<(ApiKeyId, Option<String>, String)>;

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) anchors: Vec<CertificateId>,
    pub(crate) clients: Vec<Client>,
    pub(crate) callers: Vec<Caller>,
    requests: u64,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let world = World::with(|options| {
            options.observations = true;
            options.observation_interval = Duration::from_millis(20);
        })
        .await;
        let cast = Cast::new();
        let mut anchors = Vec::new();
        for (anchor, policy) in cast.anchors() {
            anchors.push(world.upload(anchor, policy).await);
        }
        let mut clients = Vec::new();
        for chain in cast.chains() {
            clients.push(Client::open(&world, &chain.iter().collect::<Vec<_>>()).await);
        }
        let mut keys = vec![
            (Some(world.project.clone()), world.key.clone()),
            (None, world.admin_key.clone()),
        ];
        for name in ["beta", "gamma", "gone"] {
            let (project, key) = make_project(&world.api, name).await;
            keys.push((Some(project), key));
        }
        world.enforced(world.store.revision().await.unwrap()).await;
        let mut callers = Vec::new();
        for (project, value) in keys {
            let found = world.store.caller(KeyDigest::of(&value)).await.unwrap();
            let id = found.unwrap().key;
            callers.push(Caller { project, id, value });
        }
        Self {
            world,
            anchors,
            clients,
            callers,
            requests: 0,
        }
    }

    /// Has every caller call with every client, and waits until the control plane knows.
    pub(crate) async fn call(&mut self) -> Codes {
        let mut codes = Codes::new();
        for (index, client) in self.clients.iter_mut().enumerate() {
            for (at, caller) in self.callers.iter().enumerate() {
                let code = client.code(&self.world, caller).await;
                self.requests += u64::from(code != "invalid_api_key");
                codes.insert((at, index), code);
            }
        }
        until(&self.world, self.requests).await;
        codes
    }

    fn name(&self, (at, index): (usize, usize), code: &str) -> (ApiKeyId, Option<String>, String) {
        let leaf = self.clients[index].leaf.clone();
        (self.callers[at].id.clone(), leaf, code.to_owned())
    }

    /// Who, within a change's scope, gets a different verdict: who is refused now, and who was before.
    pub(crate) fn differences(&self, scope: &Scope, before: &Codes, after: &Codes) -> [Named; 2] {
        let reached = |at: usize| match scope {
            Scope::Organization => true,
            Scope::Project(project) => self.callers[at].project.as_ref() == Some(project),
        };
        let (mut failing, mut passing) = (Named::new(), Named::new());
        for (pair, code) in after {
            let was = &before[pair];
            if !reached(pair.0) {
                assert_eq!(code, was, "beyond the change's reach");
            } else if was.is_empty() && !code.is_empty() {
                failing.push(self.name(*pair, code));
            } else if !was.is_empty() && code.is_empty() {
                passing.push(self.name(*pair, was));
            }
        }
        failing.sort();
        passing.sort();
        [failing, passing]
    }
}

pub(crate) fn named(list: &[PreviewedWorkload]) -> Named {
    let name = |one: &PreviewedWorkload| {
        let leaf = one.identity.leaf.as_ref().map(|leaf| leaf.subject.clone());
        (
            one.identity.key.clone().unwrap(),
            leaf,
            one.code.to_string(),
        )
    };
    let mut named: Named = list.iter().map(name).collect();
    named.sort();
    named
}

/// Certificate authorities: one issued twice with the same key, one with an intermediate that is an
/// anchor too, one with another kind of key, and one that nobody trusts.
struct Cast {
    mesh: Minted,
    again: Minted,
    partner: Minted,
    issuing: Minted,
    other: Minted,
    untrusted: Minted,
}

impl Cast {
    fn new() -> Self {
        let mesh = root("Mesh").mint();
        let partner = root("Partner").mint();
        Self {
            again: root("Mesh").with_key(mesh.key()).mint(),
            issuing: partner.intermediate("Partner Issuing").mint(),
            other: root("Other").key(KeyKind::Ed25519).mint(),
            untrusted: root("Untrusted").mint(),
            mesh,
            partner,
        }
    }

    fn anchors(&self) -> [(&Minted, Option<&'static str>); 6] {
        let production = "subject.organizational_unit == \"Production\"";
        [
            (&self.mesh, None),
            (&self.again, Some(production)),
            (&self.partner, None),
            (&self.issuing, None),
            (&self.issuing, Some(production)),
            (&self.other, None),
        ]
    }

    /// A few dozen leaves, and a client without one.
    fn chains(&self) -> Vec<Vec<Minted>> {
        let issuing = &self.issuing;
        let sub = issuing.intermediate("Sub").mint();
        let mut chains = vec![vec![]];
        for unit in ["Production", "Test"] {
            let leaf = |ca: &Minted, name: &str| {
                let leaf = ca.leaf(&format!("{name} {unit}"));
                let host = General::dns(&format!("{}.example.com", name.replace(' ', "-")));
                let leaf = leaf.attribute(oid::ORGANIZATIONAL_UNIT, unit);
                leaf.san(host)
            };
            for (ca, name) in [
                (&self.mesh, "mesh"),
                (&self.partner, "partner"),
                (&self.other, "other"),
                (&self.untrusted, "untrusted"),
            ] {
                chains.push(vec![leaf(ca, name).mint()]);
            }
            let through = leaf(issuing, "through").mint();
            chains.push(vec![through.clone(), issuing.clone()]);
            chains.push(vec![through]);
            let deep = leaf(&sub, "deep").mint();
            chains.push(vec![deep.clone(), issuing.clone(), sub.clone()]);
            chains.push(vec![deep.clone(), sub.clone()]);
            chains.push(vec![deep]);
            for (ca, name) in [(&self.mesh, "mesh"), (issuing, "issuing")] {
                let leaf = |kind: &str| leaf(ca, &format!("{kind} {name}"));
                chains.push(vec![leaf("expired").valid(1, 2).mint()]);
                let server = leaf("server").eku(&[oid::SERVER_AUTH]).mint();
                chains.push(vec![server, issuing.clone()]);
                chains.push(vec![leaf("anonymous").no_aki().mint()]);
            }
        }
        chains
    }
}

/// One change: of which anchors, at which scope.
struct Change {
    scope: Scope,
    ids: Vec<CertificateId>,
    /// `None` deactivates.
    activate: Option<Enforcement>,
}

impl Change {
    fn roll(scene: &Scene, dice: &mut Dice) -> Self {
        let scopes = [
            Scope::Organization,
            scene.world.scope(),
            Scope::Project(scene.callers[2].project.clone().unwrap()),
            Scope::Project(scene.callers[3].project.clone().unwrap()),
        ];
        let mut ids: Vec<_> = (0..=dice.roll(2))
            .map(|_| scene.anchors[dice.roll(scene.anchors.len())].clone())
            .collect();
        ids.dedup();
        let activate = match dice.roll(7) {
            0..=2 => Some(Enforcement::Enforce),
            3 => Some(Enforcement::Report),
            _ => None,
        };
        Self {
            scope: scopes[dice.roll(scopes.len())].clone(),
            ids,
            activate,
        }
    }

    async fn preview(&self, world: &World) -> TogglePreview {
        let certificates = world.api.certificates();
        let previewed = match self.activate {
            Some(enforcement) => {
                let previewed = certificates.preview_activate(&self.scope, &self.ids, enforcement);
                previewed.await
            }
            None => {
                certificates
                    .preview_deactivate(&self.scope, &self.ids)
                    .await
            }
        };
        previewed.unwrap().value.into_inner()
    }

    async fn make(&self, world: &World) {
        let certificates = world.api.certificates();
        let made = match self.activate {
            Some(enforcement) => {
                let made = certificates.activate_as(&self.scope, &self.ids, enforcement);
                made.await
            }
            None => certificates.deactivate(&self.scope, &self.ids).await,
        };
        world.enforced(made.unwrap().revision.unwrap()).await;
    }
}

/// Previews a change, makes it, has everyone call again, and compares.
async fn check(scene: &mut Scene, change: &Change, before: &Codes) -> (Codes, TogglePreview) {
    let revision = scene.world.store.revision().await.unwrap();
    let preview = change.preview(&scene.world).await;
    assert_eq!(scene.world.store.revision().await.unwrap(), revision);
    change.make(&scene.world).await;
    let after = scene.call().await;
    let [failing, passing] = scene.differences(&change.scope, before, &after);
    let said = format!(
        "{:?} {:?} at {:?}",
        change.activate, change.ids, change.scope
    );
    assert_eq!(
        named(&preview.effect.starts_to_fail),
        failing,
        "{said}: refused"
    );
    assert_eq!(
        named(&preview.effect.starts_to_pass),
        passing,
        "{said}: let through"
    );
    let touched = preview.effect.starts_to_fail.len() + preview.effect.starts_to_pass.len();
    let whole = u64::try_from(touched).unwrap()
        + preview.effect.still_passing
        + preview.effect.still_failing;
    assert_eq!(
        (preview.effect.workloads, preview.effect.unjudged),
        (whole, 0),
        "{said}"
    );
    assert!(!preview.effect.knows_nothing);
    (after, preview)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_the_change_does() {
    let mut scene = Scene::new().await;
    scene.call().await;
    // Its workloads are known, and no change can affect them any more.
    let gone = scene.callers[4].project.clone().unwrap();
    let archived = scene.world.api.projects().archive(&gone).await.unwrap();
    scene.world.enforced(archived.revision.unwrap()).await;
    let mut codes = scene.call().await;
    let mut dice = Dice(20_261_123);
    let changes = std::env::var("COUNTERSIGN_PREVIEW_CHANGES");
    let changes: usize = changes.map_or(CHANGES, |count| count.parse().unwrap());
    let (mut failed, mut passed) = (0, 0);
    for _ in 0..changes {
        let change = Change::roll(&scene, &mut dice);
        let (after, preview) = check(&mut scene, &change, &codes).await;
        codes = after;
        failed += preview.effect.starts_to_fail.len();
        passed += preview.effect.starts_to_pass.len();
        if change.activate == Some(Enforcement::Report) {
            let promotion = Change {
                activate: Some(Enforcement::Enforce),
                ..change
            };
            let (after, promoted) = check(&mut scene, &promotion, &codes).await;
            codes = after;
            let foretold = named(&preview.would_fail_once_enforced);
            assert_eq!(foretold, named(&promoted.effect.starts_to_fail));
        }
    }
    println!(
        "{changes} changes over {} workloads, {} requests: {failed} refusals and {passed} passes foretold",
        codes.len(),
        scene.requests
    );
    assert!(failed > 0 && passed > 0, "nothing was put to the test");
}
