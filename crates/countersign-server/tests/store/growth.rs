//! How much a database grows by what gateways saw: printed, and held to what the documentation
//! says. `--no-capture` shows the figures.

use countersign_server::store::{Location, NewServiceAccount, ReceivedChain, Store};
use countersign_testca::{Minted, root};
use countersign_types::{
    digest::ChainDigest,
    id::{ApiKeyId, CertificateId, GatewayId, OrganizationId, ProjectId},
    observation::{AnchorScope, Der, Observation, ObservationBatch, ObservedChain},
    workload::ObservedWorkload,
};
use countersign_verify::presented::Presented;
use tokio_postgres::NoTls;

use crate::setting::{
    START, Setting, commit, on_each_shared, organization, project, upload, write,
};

const DAY: u64 = 24 * 60 * 60;
const LEAVES: usize = 1000;
/// What `docs/configuration.md` says: for a thousand leaves, and for each further day of them.
const MAX_BYTES: u64 = 5 * 1024 * 1024;
const MAX_BYTES_A_DAY: u64 = 256 * 1024;

pub(crate) async fn bytes(setting: &Setting) -> u64 {
    match &setting.location {
        Location::Postgres(_) => {
            let url = setting.server_url().unwrap();
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            // What PostgreSQL does by itself from time to time.
            client.batch_execute("VACUUM").await.unwrap();
            let sql = "SELECT pg_database_size(current_database())";
            let size: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
            size.try_into().unwrap()
        }
        Location::Sqlite(path) => {
            let file = rusqlite::Connection::open(path).unwrap();
            let number = |name| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let size = number("page_count").unwrap() * number("page_size").unwrap();
            size.try_into().unwrap()
        }
        Location::Memory => 0,
    }
}

struct Caller {
    organization: OrganizationId,
    project: ProjectId,
    key: ApiKeyId,
    anchor: CertificateId,
}

async fn caller(store: &Store) -> Caller {
    let organization = organization(store).await;
    let project = project(store, &organization, "Payments").await.id;
    let mut tx = write(store, &organization).await;
    let new = NewServiceAccount {
        name: "billing".to_owned(),
        with_key: true,
    };
    let change = tx.create_service_account(&project, new).await.unwrap();
    let key = commit(tx, change).await.api_key.unwrap().id;
    let anchor = upload(store, &organization, "a").await.id;
    Caller {
        organization,
        project,
        key,
        anchor,
    }
}

impl Caller {
    fn chain(&self, between: &Minted, number: usize) -> ObservedChain {
        let leaf = between
            .leaf(&format!("workload-{number}.example.com"))
            .mint();
        ObservedChain {
            organization: self.organization.clone(),
            certificates: vec![Der(leaf.der().to_vec()), Der(between.der().to_vec())],
        }
    }

    /// A thousand requests of a chain.
    fn seen(&self, chain: ChainDigest, now: u64) -> Observation {
        Observation {
            organization: self.organization.clone(),
            identity: ObservedWorkload {
                project: Some(self.project.clone()),
                key: Some(self.key.clone()),
                chain: Some(chain),
            },
            code: None,
            anchor: Some(self.anchor.clone()),
            anchor_scope: Some(AnchorScope::Project),
            reported: None,
            requests: 1000,
            first_seen: now,
            last_seen: now,
        }
    }
}

fn digest(chain: &ObservedChain) -> ChainDigest {
    let ders = chain.certificates.iter().map(|der| der.0.clone().into());
    Presented::new(ders.collect()).sha256()
}

#[test]
fn a_thousand_leaves_and_a_million_requests_take_what_is_said() {
    on_each_shared(async |setting| {
        if setting.is_pooled() {
            return;
        }
        let store = setting.open().await;
        let caller = caller(&store).await;
        let between = root("Client Root")
            .mint()
            .intermediate("Client Issuing CA")
            .mint();
        let chains: Vec<_> = (0..LEAVES)
            .map(|number| caller.chain(&between, number))
            .collect();
        let digests: Vec<_> = chains.iter().map(digest).collect();
        let received: Vec<_> = chains.iter().map(ReceivedChain::new).collect();
        let mut number = 0;
        let mut day = async |now: u64, received: &[ReceivedChain]| {
            setting.clock.set(now);
            number += 1;
            let batch = ObservationBatch {
                gateway: GatewayId::from_random(1),
                number,
                chains: Vec::new(),
                observations: digests
                    .iter()
                    .map(|chain| caller.seen(*chain, now))
                    .collect(),
                refusals: None,
                refused_by: None,
                live: None,
            };
            let recorded = store
                .record_observations(&batch, received, 90)
                .await
                .unwrap();
            assert_eq!(recorded.requests, 1_000_000);
        };
        let empty = bytes(&setting).await;
        day(START, &received).await;
        // PostgreSQL writes a whole new row when one changes: after the second day it has room for that.
        day(START + DAY, &[]).await;
        let first = bytes(&setting).await - empty;
        for later in 2..=5 {
            day(START + later * DAY, &[]).await;
            bytes(&setting).await;
        }
        let a_day = bytes(&setting).await.saturating_sub(empty + first) / 4;
        for _ in 0..5 {
            day(START + 5 * DAY, &[]).await;
        }
        let end = bytes(&setting).await;
        let more = end.saturating_sub(empty + first + 4 * a_day);
        println!(
            "{:?}: {first} bytes for {LEAVES} leaves, {a_day} for each further day of a million \
             requests, {more} for five million more on the same day",
            setting.location
        );
        assert!(first <= MAX_BYTES, "{first}");
        assert!(a_day <= MAX_BYTES_A_DAY, "{a_day}");
        assert!(more <= MAX_BYTES_A_DAY, "{more}");
    });
}
