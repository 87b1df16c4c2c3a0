//! Two control planes on the cluster, two gateways before one upstream, and who changes and asks.

use std::time::Duration;

use countersign_client::{Client, Error, Response};
use countersign_testca::{Minted, root};
use countersign_types::{
    certificate::{Scope, UploadCertificateRequest},
    id::{CertificateId, ProjectId},
    project::{ProjectCreateRequest, ServiceAccountCreateRequest},
};
use tokio::time::{interval, timeout};

use super::{
    LIMIT,
    cluster::{Cluster, Way},
    load::{Load, lock},
    writer::Writing,
};
use crate::{
    client::Tls,
    process::{Deployment, Process, free_address, impatient_client},
    upstream,
    world::make_project,
};

/// The name of the database.
const DATABASE: &str = "countersign";
/// A key that never was.
const NO_KEY: &str = "sk-svcacct-none";

/// What ends first comes first.
pub(super) struct Scene {
    pub(super) load: Load,
    _gateways: Vec<Process>,
    _planes: Vec<Process>,
    planes: Vec<std::net::SocketAddr>,
    client: Client,
    another: Client,
    project: ProjectId,
    anchors: Vec<CertificateId>,
    deployment: Deployment,
    pub(super) cluster: Cluster,
    _directory: tempfile::TempDir,
}

impl Scene {
    pub(super) async fn start(way: Way, synchronous: bool) -> Self {
        let cluster = Cluster::start(synchronous).await;
        let primary = cluster.at_primary("postgres").await;
        let create = format!("CREATE DATABASE {DATABASE}");
        primary.batch_execute(&create).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let deployment = Deployment {
            database_url: Some(cluster.url(way, DATABASE)),
            directory: directory.path().to_owned(),
            variables: Vec::new(),
            server_ca: root("Server CA").mint(),
        };
        let addresses = [(); 2].map(|()| (free_address(), free_address()));
        let key = deployment.prepare(upstream::start().await, &addresses);
        let running: Vec<_> = addresses
            .iter()
            .map(|(plane, _)| deployment.plane(*plane))
            .collect();
        let planes: Vec<_> = addresses.iter().map(|(plane, _)| *plane).collect();
        let client = impatient_client(planes[0], &key);
        let another = impatient_client(planes[1], &deployment.organization("another"));
        let (project, key) = make_project(&client, "alpha").await;
        let cas = [root("Client CA").mint(), root("Client CA").mint()];
        let mut anchors = Vec::new();
        for ca in &cas {
            anchors.push(upload(&client, ca).await);
        }
        let leaves = [0, 1].map(|at: usize| cas[at].leaf("a").mint());
        let tls = |chain: &[&Minted]| Tls::new(&deployment.server_ca, chain);
        let [first, second] = leaves.each_ref().map(|leaf| tls(&[leaf]));
        let callers = [first, second.clone(), second, tls(&[])];
        let gateways = (0..addresses.len()).map(|number| deployment.gateway(number));
        let gateways: Vec<_> = gateways.collect();
        let load = Load::start(&addresses.map(|(_, gateway)| gateway), callers, &key);
        NO_KEY.clone_into(&mut lock(&load.keys)[2]);
        let scene = Self {
            load,
            _gateways: gateways,
            _planes: running,
            planes,
            client,
            another,
            project,
            anchors,
            deployment,
            cluster,
            _directory: directory,
        };
        scene.activate(0).await;
        scene
    }

    /// Activates an anchor at the project.
    pub(super) async fn activate(&self, anchor: usize) {
        let (scope, ids) = (
            Scope::Project(self.project.clone()),
            [self.anchors[anchor].clone()],
        );
        let certificates = self.client.certificates();
        acknowledged(async || certificates.activate(&scope, &ids).await).await;
    }

    pub(super) async fn deactivate(&self, anchor: usize) {
        let (scope, ids) = (
            Scope::Project(self.project.clone()),
            [self.anchors[anchor].clone()],
        );
        let certificates = self.client.certificates();
        acknowledged(async || certificates.deactivate(&scope, &ids).await).await;
    }

    /// Makes a key, which the third caller has from now on.
    pub(super) async fn add_key(&self) {
        let request = ServiceAccountCreateRequest {
            name: "newer".to_owned(),
            create_service_account_only: None,
        };
        let accounts = self.client.service_accounts(&self.project);
        let made = acknowledged(async || accounts.create(&request).await).await;
        let key = made.into_inner().api_key.unwrap().value.reveal().to_owned();
        lock(&self.load.keys)[2] = key;
    }

    /// The third caller has no key any more.
    pub(super) fn drop_key(&self) {
        NO_KEY.clone_into(&mut lock(&self.load.keys)[2]);
    }

    /// Makes changes of another organization.
    pub(super) async fn change_another(&self, changes: usize) {
        for number in 0..changes {
            let request = project(&format!("project {number}"));
            let projects = self.another.projects();
            acknowledged(async || projects.create(&request).await).await;
        }
    }

    /// Starts to write at both control planes, for an organization of its own.
    pub(super) fn write(&self, round: usize) -> Writing {
        let key = self.deployment.organization(&format!("round {round}"));
        let clients = self
            .planes
            .iter()
            .map(|plane| impatient_client(*plane, &key));
        Writing::start(round, clients.collect())
    }

    /// The names of all projects that the primary has.
    pub(super) async fn projects(&self) -> Vec<String> {
        let primary = self.cluster.at_primary(DATABASE).await;
        let rows = primary
            .query("SELECT name FROM projects", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// A primary that ended comes back as a standby.
    pub(super) async fn restore(&mut self, primary: usize) {
        self.cluster.end(primary, super::End::Killed);
        self.cluster.start_node(primary);
        self.cluster.until_whole().await;
    }
}

pub(super) fn project(name: &str) -> ProjectCreateRequest {
    ProjectCreateRequest {
        name: name.to_owned(),
        residency: None,
        external_key_id: None,
    }
}

async fn upload(client: &Client, anchor: &Minted) -> CertificateId {
    let request = UploadCertificateRequest {
        certificate: anchor.pem(),
        name: None,
        cel_policy: None,
    };
    client
        .certificates()
        .upload(&request)
        .await
        .unwrap()
        .id
        .clone()
}

/// Tries until it is acknowledged.
async fn acknowledged<T>(change: impl AsyncFn() -> Result<Response<T>, Error>) -> T {
    let tried = async {
        let mut tries = interval(Duration::from_millis(100));
        loop {
            tries.tick().await;
            if let Ok(done) = change().await {
                return done.value;
            }
        }
    };
    timeout(LIMIT, tried).await.expect("an acknowledgement")
}
