//! Random changes while gateways, control planes and PostgreSQL are killed: every response follows
//! from a trust set that was in force at the time, and no gateway goes back behind what it reported.
//! `COUNTERSIGN_KILL_STEPS` says how many changes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign_client::Client;
use countersign_testca::{Minted, root};
use countersign_types::{
    certificate::{Scope, UploadCertificateRequest},
    id::{CertificateId, ProjectId},
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{
    client::Tls,
    model::{Dice, Model},
    process::{Deployment, Process, free_address, patient_client, shell},
    upstream,
    world::{LIMIT, make_project},
};

/// How many control planes there are, each with one gateway.
const NODES: usize = 2;

/// What the gateways may enforce: every state so far, the next one from before it is asked for.
struct History {
    states: Vec<Model>,
    /// By gateway: the first state that it may be in, after its answers so far.
    first: [usize; NODES],
    /// The state that every gateway has reported, and so stored on its disk.
    kept: usize,
    /// By gateway: how many responses were checked against the model.
    answers: [usize; NODES],
}

impl History {
    /// Checks a response against the model. A gateway only goes from a state to a later one, so the
    /// first state that gives this response leaves most possibilities open. `asked_from` is the state
    /// that it may have been in when it was asked.
    fn check(&mut self, gateway: usize, asked_from: usize, leaf: Option<usize>, code: &str) {
        self.answers[gateway] += 1;
        // It has no bundle just now, and lets nobody pass.
        if code == "authentication_temporarily_unavailable" {
            return;
        }
        let from = asked_from.min(self.first[gateway]);
        let gives = |state: &Model| state.code(leaf) == code;
        let fits = self.states[from..].iter().position(gives);
        assert!(
            fits.is_some(),
            "gateway {gateway}, leaf {leaf:?}: `{code}` fits no state from {from} on"
        );
        let ahead = fits.unwrap();
        self.first[gateway] = self.first[gateway].max(from + ahead);
    }
}

/// What may be killed.
struct Running {
    deployment: Arc<Deployment>,
    restart: String,
    addresses: [(SocketAddr, SocketAddr); NODES],
    planes: Vec<Option<Process>>,
    gateways: Vec<Option<Process>>,
    history: Arc<Mutex<History>>,
    dice: Dice,
}

impl Running {
    /// Kills something, and starts it again.
    fn kill(&mut self) {
        let at = self.dice.roll(NODES);
        let (plane, _) = self.addresses[at];
        match self.dice.roll(4) {
            0 => {
                self.planes[at] = None;
                self.planes[at] = Some(self.deployment.plane(plane));
            }
            1 => {
                self.gateways[at] = None;
                {
                    // What it last enforced may not have been on its disk yet.
                    let mut history = lock(&self.history);
                    history.first[at] = history.kept;
                }
                self.gateways[at] = Some(self.deployment.gateway(at));
            }
            2 => shell(&self.deployment.directory, &self.restart),
            _ => {}
        }
    }
}

/// Who asks and who changes.
struct Scene {
    gateways: [SocketAddr; NODES],
    clients: Vec<Client>,
    project: ProjectId,
    key: String,
    ids: Vec<CertificateId>,
    /// By what is presented: nothing, a leaf of each anchor, and one of an unknown CA.
    callers: Arc<Vec<(Option<usize>, Tls)>>,
    history: Arc<Mutex<History>>,
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    async fn new(deployment: Deployment, restart: String) -> (Self, Running) {
        let addresses = [(); NODES].map(|()| (free_address(), free_address()));
        let planes = addresses.map(|(plane, _)| plane);
        let admin_key = deployment.prepare(upstream::start().await, &addresses);
        let running = planes.map(|address| Some(deployment.plane(address)));
        let clients: Vec<Client> = planes
            .iter()
            .map(|plane| patient_client(*plane, &admin_key))
            .collect();
        let (project, key) = make_project(&clients[0], "alpha").await;
        let cas: Vec<Minted> = (0..3).map(|_| root("Client CA").mint()).collect();
        let mut ids = Vec::new();
        for ca in &cas[..2] {
            let request = UploadCertificateRequest {
                certificate: ca.pem(),
                name: None,
                cel_policy: None,
            };
            let uploaded = clients[0].certificates().upload(&request).await;
            ids.push(uploaded.unwrap().id.clone());
        }
        let ca = &deployment.server_ca;
        let mut callers = vec![(None, Tls::new(ca, &[]))];
        for (number, issuer) in cas.iter().enumerate() {
            callers.push((Some(number), Tls::new(ca, &[&issuer.leaf("a").mint()])));
        }
        let history = History {
            states: vec![Model::default()],
            first: [0; NODES],
            kept: 0,
            answers: [0; NODES],
        };
        let history = Arc::new(Mutex::new(history));
        let scene = Self {
            gateways: addresses.map(|(_, gateway)| gateway),
            clients,
            project,
            key,
            ids,
            callers: Arc::new(callers),
            history: Arc::clone(&history),
        };
        let gateways = (0..NODES).map(|at| Some(deployment.gateway(at)));
        let running = Running {
            gateways: gateways.collect(),
            planes: running.into(),
            deployment: Arc::new(deployment),
            restart,
            addresses,
            history,
            dice: Dice(20_261_124),
        };
        (scene, running)
    }

    /// Asks at a gateway, one request after another, until told to stop.
    fn ask_on(&self, gateway: usize, stop: Arc<AtomicBool>) -> JoinHandle<()> {
        let (address, key) = (self.gateways[gateway], self.key.clone());
        let (callers, history) = (Arc::clone(&self.callers), Arc::clone(&self.history));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                for (leaf, tls) in callers.iter() {
                    let from = lock(&history).first[gateway];
                    match tls.try_code(address, &key).await {
                        Some(code) => lock(&history).check(gateway, from, *leaf, &code),
                        None => tokio::task::yield_now().await,
                    }
                }
            }
        })
    }

    /// Makes a change, again and again until it is acknowledged; its revision.
    async fn change(&self, dice: &mut Dice) -> u64 {
        let (ca, at_project) = (dice.roll(2), dice.roll(2) == 0);
        let client = &self.clients[dice.roll(NODES)];
        let activate = {
            let mut history = lock(&self.history);
            let (next, activate) = history.states[history.states.len() - 1].toggled(ca, at_project);
            history.states.push(next);
            activate
        };
        let scope = if at_project {
            Scope::Project(self.project.clone())
        } else {
            Scope::Organization
        };
        let (certificates, ids) = (client.certificates(), [self.ids[ca].clone()]);
        let acknowledged = async {
            loop {
                let toggled = if activate {
                    certificates.activate(&scope, &ids).await
                } else {
                    certificates.deactivate(&scope, &ids).await
                };
                if let Ok(toggled) = toggled {
                    return toggled.revision.unwrap();
                }
            }
        };
        timeout(LIMIT, acknowledged)
            .await
            .expect("the change to be acknowledged")
    }

    /// Waits until every gateway reports a revision: from then on it enforces the current state.
    async fn settle(&self, revision: u64) {
        let reached = async {
            loop {
                let Ok(known) = self.clients[0].countersign().gateways().await else {
                    continue;
                };
                // One that was killed is listed for a while, beside its replacement.
                let enforced = |gateway: usize| {
                    let name = format!("gateway-{gateway}");
                    let same = known.gateways.iter().filter(|each| each.name == name);
                    same.map(|each| each.revision).max() >= Some(revision)
                };
                if (0..NODES).all(enforced) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, reached)
            .await
            .expect("the gateways to enforce the change");
        let mut history = lock(&self.history);
        history.kept = history.states.len() - 1;
        history.first = [history.kept; NODES];
    }
}

/// A deployment on a database of its own, in a cluster that may be killed; none without that.
async fn deployment() -> Option<(Deployment, String)> {
    let url = std::env::var("COUNTERSIGN_TEST_POSTGRES_KILL_URL");
    let restart = std::env::var("COUNTERSIGN_TEST_POSTGRES_KILL_COMMAND");
    let (Ok(url), Ok(restart)) = (url, restart) else {
        eprintln!(
            "skipped: `COUNTERSIGN_TEST_POSTGRES_KILL_URL` is not set; `cargo xtask test` sets it"
        );
        return None;
    };
    let tls = tokio_postgres::NoTls;
    let (client, connection) = tokio_postgres::connect(&url, tls).await.unwrap();
    tokio::spawn(connection);
    let name = format!("kills_{}", std::process::id());
    let create = format!("CREATE DATABASE {name}");
    client.batch_execute(&create).await.unwrap();
    let deployment = Deployment {
        database_url: Some(url.replacen("/postgres?", &format!("/{name}?"), 1)),
        directory: tempfile::tempdir().unwrap().keep(),
        variables: Vec::new(),
        server_ca: root("Server CA").mint(),
    };
    Some((deployment, restart))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_follows_from_a_trust_set_that_was_in_force() {
    let Some((deployment, restart)) = deployment().await else {
        return;
    };
    let directory = deployment.directory.clone();
    let (scene, mut running) = Scene::new(deployment, restart).await;
    let stop = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..NODES)
        .map(|at| scene.ask_on(at, Arc::clone(&stop)))
        .collect();
    let steps = std::env::var("COUNTERSIGN_KILL_STEPS");
    let steps: usize = steps.map_or(12, |count| count.parse().unwrap());
    let mut dice = Dice(20_261_125);
    for step in 0..steps {
        // How the change and the kill overlap is left to chance.
        let killing = spawn_blocking(move || {
            running.kill();
            running
        });
        let revision = scene.change(&mut dice).await;
        running = killing.await.unwrap();
        if step % 4 == 3 {
            scene.settle(revision).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    let answers = lock(&scene.history).answers;
    println!("{steps} changes, answers by gateway: {answers:?}");
    assert!(answers.iter().all(|count| *count > steps), "{answers:?}");
    drop(running);
    std::fs::remove_dir_all(directory).unwrap();
}
