//! What a gateway is after a restart, and what it keeps on disk for that.

use std::sync::{Arc, atomic::Ordering};

use countersign_gateway::{Gateway, Sockets};
use countersign_testca::root;
use countersign_types::certificate::{Scope, UploadCertificateRequest};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    client::{Tls, plain_get},
    process::{Deployment, free_address, patient_client},
    upstream,
    world::{LIMIT, NOW, World, make_project},
};

/// Nothing listens here.
const NOWHERE: &str = "http://127.0.0.1:1/v1";

async fn gateway_ids(world: &World) -> Vec<String> {
    let known = world.api.countersign().gateways().await.unwrap();
    known
        .gateways
        .iter()
        .map(|each| each.id.to_string())
        .collect()
}

#[tokio::test]
async fn a_restarted_gateway_is_the_same_one() {
    let mut world = World::new().await;
    let before = gateway_ids(&world).await;
    assert_eq!(before.len(), 1);
    world.stop().await;
    // It said goodbye.
    assert!(gateway_ids(&world).await.is_empty());
    let again = world.gateway_with(world.options.clone(), 9);
    timeout(LIMIT, again.ready()).await.unwrap();
    world.gateway = Some(again);
    assert_eq!(gateway_ids(&world).await, before);
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_gateway() {
    let world = World::new().await;
    let started = Gateway::start(
        world.options.clone(),
        Sockets::default(),
        Arc::new(|| NOW),
        [8; 2],
        Arc::new(String::new),
        None,
    );
    let refused = started.unwrap_err().to_string();
    assert!(
        refused.contains("is in use by another gateway"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_contact_in_the_future_is_of_unknown_age() {
    let mut world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    world.stop().await;
    world.options.control_plane = NOWHERE.to_owned();
    world.clock.store(NOW - 3600, Ordering::Relaxed);
    world.gateway = Some(world.gateway_with(world.options.clone(), 8));
    let code = world.code(&[&leaf], &world.key).await;
    assert_eq!(code, "authentication_temporarily_unavailable");
    let admin = world.gateway.as_ref().unwrap().admin_address().unwrap();
    let ready = ready(admin).await;
    assert_eq!(ready["ready"], false);
    let reason = ready["reason"].as_str().unwrap();
    assert!(reason.contains("unknown"), "{reason}");
}

async fn ready(admin: std::net::SocketAddr) -> Value {
    serde_json::from_str(&plain_get(admin, "/readyz").await).unwrap()
}

/// Waits until a warning of `/readyz` says this, or none says it any more.
async fn until_warned(admin: std::net::SocketAddr, words: &str, wanted: bool) {
    let warned = async {
        loop {
            let ready = ready(admin).await;
            assert_eq!(ready["ready"], true);
            let warnings = ready["warnings"].to_string();
            if warnings.contains(words) == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, warned).await.expect("the warning to change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_brings_back_nothing_that_was_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let deployment = Deployment::local(directory.path());
    let (plane_address, address, admin) = (free_address(), free_address(), free_address());
    let admin_key = deployment.prepare(upstream::start().await, &[(plane_address, address)]);
    let configuration = directory.path().join("gateway-0.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let text = format!("admin_listen = \"{admin}\"\n{text}");
    std::fs::write(&configuration, text).unwrap();
    let plane = deployment.plane(plane_address);
    let api = patient_client(plane_address, &admin_key);
    let (_, key) = make_project(&api, "alpha").await;
    let ca = root("Client CA").mint();
    let request = UploadCertificateRequest {
        certificate: ca.pem(),
        name: None,
        cel_policy: None,
    };
    let id = [api
        .certificates()
        .upload(&request)
        .await
        .unwrap()
        .id
        .clone()];
    let gateway = deployment.gateway(0);
    let anyone = Tls::new(&deployment.server_ca, &[]);
    let code = async || anyone.try_code(address, &key).await;
    let until = async |wanted: &str| {
        let answered = async { while code().await.as_deref() != Some(wanted) {} };
        timeout(LIMIT, answered).await.expect(wanted);
    };
    until("").await;

    // The disk is full: what is taken away now is in force, but not on disk.
    gateway.limit_files("0");
    let certificates = api.certificates();
    let activated = certificates.activate(&Scope::Organization, &id);
    activated.await.unwrap();
    until("certificate_required").await;
    until_warned(admin, "would not survive a restart", true).await;
    drop((gateway, plane));
    let gateway = deployment.gateway(0);
    assert_eq!(
        code().await.unwrap(),
        "authentication_temporarily_unavailable"
    );

    // With room again, it becomes durable again by itself.
    let plane = deployment.plane(plane_address);
    until("certificate_required").await;
    gateway.limit_files("0");
    let deactivated = certificates.deactivate(&Scope::Organization, &id);
    deactivated.await.unwrap();
    until_warned(admin, "would not survive a restart", true).await;
    gateway.limit_files("unlimited");
    until_warned(admin, "would not survive a restart", false).await;
    drop((gateway, plane));
    let _gateway = deployment.gateway(0);
    assert_eq!(code().await.unwrap(), "");
}
