//! Webhooks of several organizations: nobody's receivers delay another's events.

use std::{future::pending, net::SocketAddr, time::Duration};

use countersign_server::{
    WebhookOptions, Webhooks,
    store::{NewWebhook, PageRequest, Store},
};
use countersign_types::{
    id::{OrganizationId, WebhookId},
    page::{MAX_LIMIT, Order},
    secret::Secret,
    webhook::{WebhookDelivery, WebhookDeliveryStatus},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};

use crate::setting::{START, Setting, commit, on_each_shared, organization, upload, write};

/// As long as an attempt may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

async fn webhook(store: &Store, organization: &OrganizationId, to: SocketAddr) -> WebhookId {
    let mut tx = write(store, organization).await;
    let new = NewWebhook {
        url: Secret::new(format!("http://{to}/")),
        host: "127.0.0.1".to_owned(),
    };
    let change = tx.create_webhook(new).await.unwrap();
    commit(tx, change).await.id
}

fn send(setting: &Setting, store: &Store) -> JoinHandle<()> {
    let options = WebhookOptions {
        private_addresses: true,
        ca_file: None,
    };
    let webhooks = Webhooks::new(store.clone(), setting.sources(), &options).unwrap();
    tokio::spawn(webhooks.run(pending()))
}

async fn deliveries(
    store: &Store,
    organization: &OrganizationId,
    webhook: &WebhookId,
) -> Vec<WebhookDelivery> {
    let request = PageRequest {
        limit: MAX_LIMIT,
        after: None,
        order: Order::Asc,
    };
    let page = store.list_webhook_deliveries(organization, webhook, &request);
    page.await.unwrap().data
}

/// Accepts connections and says nothing, or answers each request with a status.
async fn receiver(status: Option<u16>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if let Some(status) = status {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
            }
            kept.push(stream);
        }
    });
    (address, served)
}

/// Waits until the store shows what is wanted.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), looking).await.unwrap()
}

#[test]
fn ten_tarpits_do_not_delay_another_organizations_event() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let (hostile, other) = (organization(&store).await, organization(&store).await);
        let (tarpit, silent) = receiver(None).await;
        let (good, answering) = receiver(Some(204)).await;
        for _ in 0..10 {
            webhook(&store, &hostile, tarpit).await;
        }
        for number in 0..20 {
            upload(&store, &hostile, &format!("c{number}")).await;
        }
        let sending = send(&setting, &store);
        // All of them wait by now, and all their slots are taken.
        let started = std::time::Instant::now();
        let theirs = webhook(&store, &other, good).await;
        upload(&store, &other, "c").await;
        until(async || {
            let all = deliveries(&store, &other, &theirs).await;
            let delivered =
                |each: &WebhookDelivery| each.status == WebhookDeliveryStatus::Delivered;
            (all.len() == 2 && all.iter().all(delivered)).then_some(())
        })
        .await;
        // No attempt at a tarpit has ended, so no slot had to become free.
        let took = started.elapsed();
        println!("{:?}: delivered after {took:?}", setting.location);
        assert!(took < SEND_TIMEOUT, "{took:?}");
        for task in [sending, silent, answering] {
            task.abort();
        }
    });
}

/// Waits until something holds for every delivery of a webhook.
async fn until_all(
    store: &Store,
    organization: &OrganizationId,
    hook: &WebhookId,
    holds: impl Fn(&WebhookDelivery) -> bool,
) {
    until(async || {
        let all = deliveries(store, organization, hook).await;
        all.iter().all(&holds).then_some(())
    })
    .await;
}

#[test]
fn a_receiver_that_keeps_failing_is_tried_with_one_delivery_until_it_recovers() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let mine = organization(&store).await;
        let (failing, broken) = receiver(Some(500)).await;
        let hook = webhook(&store, &mine, failing).await;
        for number in 0..30 {
            upload(&store, &mine, &format!("c{number}")).await;
        }
        let attempts = async || {
            let all = deliveries(&store, &mine, &hook).await;
            all.iter().map(|each| each.attempts).sum::<u64>()
        };
        let paused = async || {
            store
                .retrieve_webhook(&mine, &hook)
                .await
                .unwrap()
                .paused_until
        };
        let sending = send(&setting, &store);
        let first = until(async || paused().await.filter(|until| *until > START)).await;
        // Those that were under way at the fifth failure count too.
        until_all(&store, &mine, &hook, |each| {
            each.last_attempt_at.is_none() || each.last_result.is_some()
        })
        .await;
        let before = attempts().await;
        assert!((5..=8).contains(&before), "{before}");
        let first = paused().await.unwrap().max(first);
        // Deliveries that wait say when they are tried at the earliest.
        let waiting = deliveries(&store, &mine, &hook).await;
        assert!(
            waiting
                .iter()
                .all(|each| each.next_attempt_at >= Some(first))
        );
        setting.clock.set(first);
        let second = until(async || paused().await.filter(|until| *until > first + 1)).await;
        until_all(&store, &mine, &hook, |each| {
            each.attempts == 0 || each.last_result.is_some()
        })
        .await;
        assert_eq!(attempts().await, before + 1);
        sending.abort();
        broken.abort();
        // Once it accepts one, all that wait are sent.
        let (good, answering) = receiver(Some(204)).await;
        move_webhook(&setting, &hook, good).await;
        let sending = send(&setting, &store);
        setting.clock.set(second + 24 * 60 * 60);
        until_all(&store, &mine, &hook, |each| {
            each.status == WebhookDeliveryStatus::Delivered
        })
        .await;
        assert_eq!(paused().await, None);
        for task in [sending, answering] {
            task.abort();
        }
    });
}

/// Lets a webhook's URL lead elsewhere, as its receiver would be mended.
async fn move_webhook(setting: &Setting, webhook: &WebhookId, to: SocketAddr) {
    let sql = format!("UPDATE webhooks SET url = 'http://{to}/' WHERE id = '{webhook}'");
    setting.execute(&sql).await;
}
