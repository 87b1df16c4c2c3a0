//! What is wrong between a gateway and its control plane is said: in `/readyz`, in metrics and in the log.

use std::{net::SocketAddr, time::Duration};

use countersign_client::Client;
use countersign_testca::{Minted, root};
use countersign_types::{
    certificate::{Enforcement, Scope, UploadCertificateRequest},
    digest::Sha256,
    id::CertificateId,
};
use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::{
    client::{Tls, plain_get},
    process::{Deployment, Process, free_address, patient_client},
    upstream,
    world::make_project,
};

/// Contact counts as lost after 15 seconds.
const LIMIT: Duration = Duration::from_secs(40);

/// A control plane and a gateway, as processes.
struct Scene {
    deployment: Deployment,
    plane: SocketAddr,
    gateway: SocketAddr,
    admin: SocketAddr,
    api: Client,
    key: String,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// The processes, with an anchor that is active for the organization.
    async fn start() -> (Self, Process, Process) {
        let directory = tempfile::tempdir().unwrap();
        let deployment = Deployment::local(directory.path());
        let (plane, gateway, admin) = (free_address(), free_address(), free_address());
        let admin_key = deployment.prepare(upstream::start().await, &[(plane, gateway)]);
        let file = directory.path().join("gateway-0.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("admin_listen = \"{admin}\"\n{text}")).unwrap();
        let running = deployment.plane(plane);
        let api = patient_client(plane, &admin_key);
        let (_, key) = make_project(&api, "alpha").await;
        activate(&api, &root("Client CA").mint()).await;
        let process = deployment.gateway(0);
        let scene = Self {
            deployment,
            plane,
            gateway,
            admin,
            api,
            key,
            _directory: directory,
        };
        scene.until_code("certificate_required").await;
        // What it reports is on its disk.
        until(async || {
            let listed = scene.api.countersign().gateways().await.unwrap().value;
            let current = listed
                .gateways
                .iter()
                .filter(|each| each.revision == listed.revision);
            current.count() == 1
        })
        .await;
        (scene, running, process)
    }

    async fn code(&self) -> String {
        let anyone = Tls::new(&self.deployment.server_ca, &[]);
        anyone
            .try_code(self.gateway, &self.key)
            .await
            .unwrap_or_default()
    }

    async fn until_code(&self, wanted: &str) {
        until(async || self.code().await == wanted).await;
    }

    async fn warns(&self, words: &str) -> bool {
        let ready: Value = serde_json::from_str(&plain_get(self.admin, "/readyz").await).unwrap();
        assert_eq!(ready["ready"], true);
        ready["warnings"].to_string().contains(words)
    }

    async fn metric(&self, name: &str) -> Option<String> {
        let all = plain_get(self.admin, "/metrics").await;
        let line = all.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    }
}

async fn upload(api: &Client, anchor: &Minted) -> CertificateId {
    let request = UploadCertificateRequest {
        certificate: anchor.pem(),
        name: None,
        cel_policy: None,
    };
    let uploaded = api.certificates().upload(&request).await.unwrap();
    uploaded.id.clone()
}

async fn activate(api: &Client, anchor: &Minted) {
    let id = upload(api, anchor).await;
    let certificates = api.certificates();
    certificates
        .activate(&Scope::Organization, &[id])
        .await
        .unwrap();
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let waited = async {
        let mut looks = interval(Duration::from_millis(20));
        while !is_so().await {
            looks.tick().await;
        }
    };
    timeout(LIMIT, waited).await.expect("it to become so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contact_that_is_lost_and_back_is_said() {
    let (scene, plane, gateway) = Scene::start().await;
    let lost = "contact with the control plane was lost";
    const METRIC: &str = "countersign_gateway_contact_lost";
    assert!(!scene.warns(lost).await);
    assert_eq!(scene.metric(METRIC).await.as_deref(), Some("0"));
    drop(plane);
    until(async || scene.warns(lost).await).await;
    assert_eq!(scene.metric(METRIC).await.as_deref(), Some("1"));
    until(async || {
        gateway
            .log()
            .contains("contact with the control plane is lost")
    })
    .await;
    // What it last said stays in force.
    assert_eq!(scene.code().await, "certificate_required");
    let _plane = scene.deployment.plane(scene.plane);
    until(async || !scene.warns(lost).await).await;
    assert_eq!(scene.metric(METRIC).await.as_deref(), Some("0"));
    until(async || {
        gateway
            .log()
            .contains("contact with the control plane is back")
    })
    .await;
    activate(&scene.api, &root("Another CA").mint()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_from_the_control_plane_is_mended_counted_and_logged() {
    let (scene, _plane, gateway) = Scene::start().await;
    drop(gateway);
    // Somebody opens the organization on the gateway's disk: nothing that was announced says so.
    let file = scene.deployment.directory.join("gateway-0/state.db");
    let state = rusqlite::Connection::open(file).unwrap();
    let text: String = state
        .query_row("SELECT bundle FROM organizations", [], |row| row.get(0))
        .unwrap();
    let mut bundle: Value = serde_json::from_str(&text).unwrap();
    assert!(
        bundle["active"]
            .as_array()
            .is_some_and(|active| active.len() == 1)
    );
    bundle["active"] = Value::Array(Vec::new());
    bundle["digest"] = Value::from(Sha256::of("tampered").to_string());
    let text = bundle.to_string();
    let checksum = Sha256::of(&text);
    let sql = "UPDATE organizations SET bundle = ?1, checksum = ?2";
    assert_eq!(state.execute(sql, (&text, checksum.as_ref())), Ok(1));
    // It is the only one, so the sum of all checksums is its own.
    let sql = "SELECT revision || ' ' || token || ' ' FROM state";
    let point: String = state.query_row(sql, [], |row| row.get(0)).unwrap();
    let seal = Sha256::of([point.as_bytes(), checksum.as_ref()].concat());
    let sql = "UPDATE state SET sum = ?1, seal = ?2";
    assert_eq!(
        state.execute(sql, (checksum.as_ref(), seal.as_ref())),
        Ok(1)
    );
    drop(state);

    let gateway = scene.deployment.gateway(0);
    scene.until_code("certificate_required").await;
    const METRIC: &str = "countersign_gateway_reconciled_organizations_total";
    assert_eq!(scene.metric(METRIC).await.as_deref(), Some("1"));
    let logged = "these organizations were not enforced as they should have been";
    until(async || gateway.log().contains(logged)).await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains(logged)).unwrap();
    assert!(line.contains("ERROR") && line.contains("org-"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_refused_count_in_what_is_only_reported_too() {
    let (scene, _plane, _gateway) = Scene::start().await;
    let id = upload(&scene.api, &root("Another CA").mint()).await;
    let certificates = scene.api.certificates();
    certificates
        .activate_as(&Scope::Organization, &[id], Enforcement::Report)
        .await
        .unwrap();
    const METRIC: &str = "countersign_gateway_report_verdicts_total{code=\"certificate_required\"}";
    until(async || {
        assert_eq!(scene.code().await, "certificate_required");
        let counted = scene.metric(METRIC).await;
        counted.is_some_and(|counted| counted != "0")
    })
    .await;
}
