//! Webhooks to a real receiver: signed, at least once across kills, only where they may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::Arc,
    time::Duration,
};

use countersign_client::{Client, ListParams};
use countersign_testca::{General, oid, root};
use countersign_types::{
    certificate::{Scope, UploadCertificateRequest},
    id::WebhookId,
    secret::Secret,
    webhook::{Webhook, WebhookCreateRequest, WebhookDelivery, WebhookDeliveryStatus},
};
use futures_util::TryStreamExt as _;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::tempdir;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::{
    node::{Node, PLAIN, Storage},
    postgres::database,
    receiver::{Got, Receiver, Reply},
};

const PRIVATE: &str = r#"export COUNTERSIGN_WEBHOOKS_PRIVATE_ADDRESSES=true; exec "$@""#;
/// Longer than a lease and the first pauses.
const SOON: Duration = Duration::from_secs(60);

async fn webhook(client: &Client, url: &str) -> Webhook {
    let url = Secret::new(url);
    let request = WebhookCreateRequest { url };
    let made = client.webhooks().create(&request).await.unwrap();
    made.value.into_inner()
}

async fn next(receiver: &mut Receiver) -> Got {
    timeout(SOON, receiver.next()).await.unwrap()
}

/// Waits until a delivery is as wanted.
async fn delivery(
    client: &Client,
    webhook: &WebhookId,
    wanted: impl Fn(&WebhookDelivery) -> bool,
) -> WebhookDelivery {
    let look = async {
        loop {
            let all = client.webhooks();
            let all = all.stream_deliveries(webhook, &ListParams::default());
            let all: Vec<_> = all.try_collect().await.unwrap();
            if let Some(found) = all.into_iter().find(|each| wanted(each)) {
                return found.into_inner();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, look).await.unwrap()
}

/// Uploads, activates, deactivates and deletes a certificate: four events.
async fn change(client: &Client, pem: &str) {
    let certificates = client.certificates();
    let request = UploadCertificateRequest {
        certificate: pem.to_owned(),
        name: Some("naïve".to_owned()),
        cel_policy: None,
    };
    let ids = [certificates.upload(&request).await.unwrap().id.clone()];
    let scope = Scope::Organization;
    certificates.activate(&scope, &ids).await.unwrap();
    certificates.deactivate(&scope, &ids).await.unwrap();
    certificates.delete(&ids[0]).await.unwrap();
}

/// What a receiver does that has nothing of ours.
const CHECK: &str = "
import base64, hashlib, hmac, sys
secret, id, timestamp, signature, body = sys.argv[1:]
key = base64.b64decode(secret.removeprefix('whsec_'), validate=True)
tag = hmac.new(key, f'{id}.{timestamp}.{body}'.encode(), hashlib.sha256).digest()
sys.exit(signature != 'v1,' + base64.b64encode(tag).decode())
";

fn is_signed(got: &Got, secret: &str, body: &str) -> bool {
    let python = std::env::var("COUNTERSIGN_TEST_PYTHON").unwrap_or("python3".to_owned());
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let ran = Command::new(python)
        .args(["-c", CHECK, secret])
        .args(headers.map(|name| got.header(name)))
        .arg(body)
        .env("PYTHONUTF8", "1")
        .status();
    ran.unwrap().success()
}

async fn events_come_signed(storage: &Storage) {
    let key = storage.organization();
    let node = Node::start_with(storage, PRIVATE);
    let client = node.client(&key, 0);
    let mut receiver = Receiver::start(None).await;
    receiver.answer(&[Reply::Status(500), Reply::Status(302), Reply::Endless]);
    let url = format!("http://{}/hook?token=x", receiver.address);
    let made = webhook(&client, &url).await;
    let secret = made.secret.unwrap();
    change(&client, &root("Hooks").mint().pem()).await;

    // Its own making, the four changes, and two again.
    let mut attempts: BTreeMap<String, Vec<Got>> = BTreeMap::new();
    for _ in 0..7 {
        let got = next(&mut receiver).await;
        assert_eq!(got.path, "/hook?token=x", "no redirect is followed");
        assert!(is_signed(&got, secret.reveal(), &got.body));
        assert!(!is_signed(&got, secret.reveal(), &format!("{} ", got.body)));
        assert!(!got.body.contains("BEGIN CERTIFICATE") && !got.body.contains(secret.reveal()));
        assert_eq!(got.header("content-type"), "application/json");
        let id = got.header("webhook-id").to_owned();
        attempts.entry(id).or_default().push(got);
    }
    let repeated: Vec<_> = attempts.values().filter(|all| all.len() == 2).collect();
    assert_eq!((attempts.len(), repeated.len()), (5, 2));
    assert!(repeated.iter().all(|all| all[0].body == all[1].body));
    let mut events: Vec<_> = attempts.values().map(|all| all[0].event()).collect();
    events.sort_by_key(|event| event["data"]["chain"]["number"].as_u64());
    let types: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let wanted = [
        "organization.updated",
        "certificate.created",
        "certificates.activated",
        "certificates.deactivated",
        "certificate.deleted",
    ];
    assert_eq!(types, wanted);
    assert_eq!(events[4]["data"]["type"], "certificate.deleted");
    assert_eq!(events[4]["data"]["certificate.deleted"]["name"], "naïve");

    let taken =
        |each: &WebhookDelivery| each.attempts == 2 && each.last_result.as_deref() == Some("204");
    let taken = delivery(&client, &made.id, taken).await;
    assert_eq!(taken.status, WebhookDeliveryStatus::Delivered);
    assert_eq!(taken.next_attempt_at, None);
}

/// Killed while an event is on its way, and while others wait: each still comes.
async fn a_kill_loses_no_event(storage: &Storage) {
    let key = storage.organization();
    let mut node = Node::start_with(storage, PRIVATE);
    let client = node.client(&key, 0);
    let mut receiver = Receiver::start(None).await;
    receiver.answer(&[Reply::Nothing; 3]);
    webhook(&client, &format!("http://{}/", receiver.address)).await;
    let first = next(&mut receiver).await;
    change(&client, &root("Hooks").mint().pem()).await;
    node.kill();
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let number = |got: &Got| got.event()["data"]["chain"]["number"].as_u64().unwrap();
    let node = Node::start_with(storage, PRIVATE);
    let mut again = false;
    while seen.len() < 5 || !again {
        let got = next(&mut receiver).await;
        again |= got.header("webhook-id") == first.header("webhook-id");
        seen.insert(number(&got));
    }
    assert_eq!(seen, BTreeSet::from([2, 3, 4, 5, 6]));
    drop(node);
}

#[tokio::test]
async fn events_come_signed_and_again_after_a_failure() {
    let directory = tempdir().unwrap();
    events_come_signed(&Storage::Directory(directory.path().to_owned())).await;
    if let Some(url) = database("COUNTERSIGN_TEST_POSTGRES_URL", "hooks").await {
        events_come_signed(&Storage::Url(url)).await;
    }
}

#[tokio::test]
async fn a_kill_loses_no_event_on_sqlite() {
    let directory = tempdir().unwrap();
    a_kill_loses_no_event(&Storage::Directory(directory.path().to_owned())).await;
}

#[tokio::test]
async fn a_kill_loses_no_event_on_postgresql() {
    if let Some(url) = database("COUNTERSIGN_TEST_POSTGRES_URL", "hookkill").await {
        a_kill_loses_no_event(&Storage::Url(url)).await;
    }
}

#[tokio::test]
async fn two_nodes_send_an_event_once() {
    let Some(url) = database("COUNTERSIGN_TEST_POSTGRES_URL", "hookpair").await else {
        return;
    };
    let storage = Storage::Url(url);
    let key = storage.organization();
    let nodes = [(); 2].map(|()| Node::start_with(&storage, PRIVATE));
    let client = nodes[0].client(&key, 0);
    let mut receiver = Receiver::start(None).await;
    let made = webhook(&client, &format!("http://{}/", receiver.address)).await;
    let pem = root("Hooks").mint().pem();
    for number in 0..10 {
        change(&nodes[number % 2].client(&key, 0), &pem).await;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..41 {
        let got = next(&mut receiver).await;
        assert!(seen.insert(got.header("webhook-id").to_owned()), "{got:?}");
    }
    let over = |each: &WebhookDelivery| each.status != WebhookDeliveryStatus::Pending;
    delivery(&client, &made.id, over).await;
    assert!(receiver.rest().is_empty());
}

/// `localhost` passes as a name; where it leads does not.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_connected_to() {
    let directory = tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    let key = storage.organization();
    let node = Node::start_with(&storage, PLAIN);
    let client = node.client(&key, 0);
    let mut receiver = Receiver::start(None).await;
    let url = format!("https://localhost:{}/", receiver.address.port());
    let made = webhook(&client, &url).await;
    let tried = delivery(&client, &made.id, |each| each.last_result.is_some()).await;
    assert_eq!(tried.status, WebhookDeliveryStatus::Pending);
    assert_eq!(
        tried.last_result.as_deref(),
        Some("the host has no address that this server may connect to")
    );
    assert!(receiver.rest().is_empty());
    let url = Secret::new(format!("http://{}/", receiver.address));
    let refused = client
        .webhooks()
        .create(&WebhookCreateRequest { url })
        .await;
    assert_eq!(refused.unwrap_err().status(), Some(400));
}

#[tokio::test]
async fn https_is_trusted_by_the_operators_roots_alone() {
    let directory = tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    let key = storage.organization();
    let (ours, other) = (root("Ours").mint(), root("Other").mint());
    let file = directory.path().join("roots.pem");
    std::fs::write(&file, ours.pem()).unwrap();
    let shell = format!(
        "export COUNTERSIGN_WEBHOOKS_CA_FILE='{}' COUNTERSIGN_WEBHOOKS_PRIVATE_ADDRESSES=true; \
         exec \"$@\"",
        file.display()
    );
    let node = Node::start_with(&storage, &shell);
    let client = node.client(&key, 0);
    for (ca, taken) in [(&ours, true), (&other, false)] {
        let leaf = ca
            .leaf("localhost")
            .eku(&[oid::SERVER_AUTH])
            .san(General::dns("localhost"));
        let leaf = leaf.mint();
        let secret = PrivateKeyDer::try_from(leaf.key().pkcs8().to_vec()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], secret)
            .unwrap();
        let mut receiver = Receiver::start(Some(TlsAcceptor::from(Arc::new(config)))).await;
        let made = webhook(
            &client,
            &format!("https://localhost:{}/", receiver.address.port()),
        )
        .await;
        let tried = delivery(&client, &made.id, |each| each.last_result.is_some()).await;
        assert_eq!(
            tried.status == WebhookDeliveryStatus::Delivered,
            taken,
            "{tried:?}"
        );
        assert_eq!(receiver.rest().is_empty(), !taken);
        assert_eq!(tried.last_result.unwrap().starts_with("TLS failed"), !taken);
        client.webhooks().delete(&made.id).await.unwrap();
    }
}
