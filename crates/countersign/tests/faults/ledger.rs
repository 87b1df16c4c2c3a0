//! The audit log replayed from its beginning comes to exactly what the server holds, and its chain
//! is whole.

use std::collections::BTreeMap;

use countersign_client::{
    AuditLogParams, Client, Received,
    types::{audit::AuditLog, id::CertificateId},
};
use countersign_verify::audit_chain::{ChainWalk, KeptHead};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::writers::{Seen, seen};

/// Replays every event and compares. Answers how many there were.
pub(crate) async fn assert_agrees(client: &Client) -> usize {
    let params = AuditLogParams {
        limit: Some(100),
        ..AuditLogParams::default()
    };
    let mut events: Vec<Received<AuditLog>> = client
        .audit_logs()
        .stream(&params)
        .try_collect()
        .await
        .unwrap();
    assert_whole(client, &events).await;
    // They come newest first.
    events.reverse();
    let mut replayed = Seen::new();
    for event in &events {
        replay(&mut replayed, event);
    }
    assert_eq!(
        replayed,
        seen(client).await,
        "the audit log and the state disagree"
    );
    events.len()
}

/// Nobody else may be writing.
async fn assert_whole(client: &Client, events: &[Received<AuditLog>]) {
    let head = client.audit_logs().retrieve_head().await.unwrap().value;
    let mut walk = ChainWalk::new(vec![KeptHead {
        number: Some(head.number),
        sha256: head.sha256.to_string(),
    }]);
    for event in events {
        walk.step(serde_json::to_value(event).unwrap().as_object().unwrap());
    }
    assert_eq!(walk.events(), head.number);
    assert_eq!(walk.finish(1), []);
}

fn replay(replayed: &mut Seen, event: &AuditLog) {
    let details = &event.details[&event.event_type];
    match event.event_type.as_str() {
        "certificate.created" => {
            let (id, name) = named(details);
            assert_eq!(replayed.insert(id, (name, false)), None, "made twice");
        }
        "certificate.updated" => {
            let (id, name) = named(details);
            replayed.get_mut(&id).unwrap().0 = name;
        }
        "certificate.deleted" => {
            let (id, _) = named(details);
            assert!(!replayed.remove(&id).unwrap().1, "deleted while active");
        }
        "certificates.activated" => switch(replayed, details, true),
        "certificates.deactivated" => switch(replayed, details, false),
        _ => {}
    }
}

fn switch(replayed: &mut Seen, details: &Value, active: bool) {
    let named: BTreeMap<_, _> = details["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(named)
        .collect();
    assert_eq!(named.len(), 3, "a batch is audited whole");
    for id in named.keys() {
        let certificate = replayed.get_mut(id).unwrap();
        assert_ne!(certificate.1, active, "audited without a change");
        certificate.1 = active;
    }
}

fn named(details: &Value) -> (CertificateId, String) {
    let text = |key: &str| details[key].as_str().unwrap_or_default().to_owned();
    (text("id").parse().unwrap(), text("name"))
}
