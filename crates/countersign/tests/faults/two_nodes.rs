//! Two server processes on one PostgreSQL, written through both at once: every rule holds as if
//! there were one.

use std::collections::BTreeSet;

use countersign_client::{AuditLogParams, Client, Error, ListParams, Received};
use countersign_testca::root;
use countersign_types::{
    audit::AuditLog,
    certificate::{MAX_CERTIFICATES_PER_ORGANIZATION, Scope, UploadCertificateRequest},
    error::ErrorCode,
    id::CertificateId,
};
use futures_util::{TryStreamExt as _, future::join_all};

use crate::{
    ledger,
    node::{Node, Storage},
    postgres::database,
};

struct Pair {
    nodes: [Node; 2],
    clients: [Client; 2],
}

impl Pair {
    async fn start(name: &str) -> Option<Self> {
        let storage = Storage::Url(database("COUNTERSIGN_TEST_POSTGRES_URL", name).await?);
        let key = storage.organization();
        let nodes = [Node::start(&storage), Node::start(&storage)];
        let clients = nodes.each_ref().map(|node| node.client(&key, 0));
        Some(Self { nodes, clients })
    }

    /// The one or the other node, in turn.
    fn client(&self, number: usize) -> &Client {
        &self.clients[number % 2]
    }

    /// The new certificate's id, and the number of the change.
    async fn upload(&self, number: usize, pem: &str) -> Result<(CertificateId, u64), Error> {
        let request = UploadCertificateRequest {
            certificate: pem.to_owned(),
            name: Some(format!("anchor {number}")),
            cel_policy: None,
        };
        let made = self.client(number).certificates().upload(&request).await?;
        Ok((made.id.clone(), made.revision.unwrap()))
    }

    async fn events(&self, event_type: &str) -> Vec<Received<AuditLog>> {
        let wanted = AuditLogParams {
            event_types: vec![event_type.to_owned()],
            ..AuditLogParams::default()
        };
        self.client(0)
            .audit_logs()
            .stream(&wanted)
            .try_collect()
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn the_fiftieth_is_the_last_and_every_change_has_its_own_number() {
    let Some(pair) = Pair::start("limit").await else {
        return;
    };
    let pem = root("Faults").mint().pem();
    let uploads = join_all((0..120).map(|number| pair.upload(number, &pem))).await;
    let (made, refused): (Vec<_>, Vec<_>) = uploads.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), MAX_CERTIFICATES_PER_ORGANIZATION);
    for refusal in refused {
        let code = refusal.unwrap_err().code();
        assert_eq!(code, Some(ErrorCode::CertificateLimitExceeded));
    }
    let numbers: BTreeSet<u64> = made.into_iter().map(|made| made.unwrap().1).collect();
    assert_eq!(numbers.len(), MAX_CERTIFICATES_PER_ORGANIZATION);
    ledger::assert_agrees(pair.client(1)).await;
}

#[tokio::test]
async fn what_is_deleted_is_not_active_and_what_is_active_is_not_deleted() {
    let Some(pair) = Pair::start("delete").await else {
        return;
    };
    let pem = root("Faults").mint().pem();
    let mut gone = 0;
    for round in 0..40 {
        let (id, _) = pair.upload(round, &pem).await.unwrap();
        let ids = [id.clone()];
        let (one, other) = (
            pair.client(round).certificates(),
            pair.client(round + 1).certificates(),
        );
        let (activated, deleted) =
            tokio::join!(one.activate(&Scope::Organization, &ids), other.delete(&id));
        let found = pair.client(round).certificates().retrieve(&id).await;
        match (activated, deleted) {
            (Ok(_), Err(error)) => {
                assert_eq!(error.code(), Some(ErrorCode::CertificateInUse));
                assert_eq!(found.unwrap().value.id, id);
            }
            (Err(error), Ok(_)) => {
                assert_eq!(error.code(), Some(ErrorCode::NotFound));
                assert_eq!(found.unwrap_err().status(), Some(404));
                gone += 1;
            }
            (activated, deleted) => panic!("both or neither: {activated:?}, {deleted:?}"),
        }
    }
    assert_eq!(pair.events("certificate.deleted").await.len(), gone);
    assert_eq!(pair.events("certificates.activated").await.len(), 40 - gone);
}

#[tokio::test]
async fn the_same_activation_through_both_is_one_change() {
    let Some(pair) = Pair::start("toggle").await else {
        return;
    };
    let pem = root("Faults").mint().pem();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(pair.upload(number, &pem).await.unwrap().0);
    }
    let everywhere = (0..24).map(|number| {
        let certificates = pair.client(number).certificates();
        let ids = ids.clone();
        async move { certificates.activate(&Scope::Organization, &ids).await }
    });
    for answer in join_all(everywhere).await {
        assert!(answer.unwrap().value.data.iter().all(|each| each.active));
    }
    assert_eq!(pair.events("certificates.activated").await.len(), 1);
    let listed = pair.client(1).certificates();
    let listed = listed
        .list(&Scope::Organization, &ListParams::default())
        .await
        .unwrap();
    assert!(listed.data.iter().all(|each| each.active));
}

#[tokio::test]
async fn a_key_deleted_at_one_node_is_nothing_at_the_other() {
    let Some(pair) = Pair::start("key").await else {
        return;
    };
    let request = countersign_types::api_key::AdminApiKeyCreateRequest {
        name: "short-lived".to_owned(),
        expires_in_seconds: None,
        scopes: None,
    };
    let made = pair
        .client(0)
        .admin_api_keys()
        .create(&request)
        .await
        .unwrap();
    let other = pair.nodes[1].client(made.value.value.clone().unwrap().reveal(), 0);
    other
        .certificates()
        .list(&Scope::Organization, &ListParams::default())
        .await
        .unwrap();
    pair.client(0)
        .admin_api_keys()
        .delete(&made.id)
        .await
        .unwrap();
    let refused = other
        .certificates()
        .list(&Scope::Organization, &ListParams::default())
        .await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::InvalidApiKey));
}
