//! What gateways saw: counted once, of the organization that it is of, and for as long as it is
//! kept.

use std::collections::HashMap;

use countersign_server::store::{
    NewServiceAccount, NotKept, ObservedIdentity, ReceivedChain, RecordedBatch, Store,
    WORKLOADS_OF_A_PAGE, Workload,
};
use countersign_testca::root;
use countersign_types::{
    digest::ChainDigest,
    error::ErrorCode,
    id::{ApiKeyId, CertificateId, GatewayId, OrganizationId, ProjectId},
    observation::{
        AnchorScope, Der, Observation, ObservationBatch, ObservedChain, ReportedOutcome,
    },
    workload::ObservedWorkload,
};
use countersign_verify::presented::Presented;

use crate::setting::{
    START, activate, at, commit, delete, on_each, on_each_shared, organization, project, upload,
    write,
};

const DAY: u64 = 24 * 60 * 60;
const KEEP: u32 = 90;

/// An organization with a project, one of its keys, and an anchor that is active for the project.
pub(crate) struct Scene {
    store: Store,
    pub(crate) organization: OrganizationId,
    pub(crate) project: ProjectId,
    key: ApiKeyId,
    anchor: CertificateId,
}

impl Scene {
    pub(crate) async fn new(store: &Store) -> Self {
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
        activate(
            store,
            &organization,
            &at(&project),
            std::slice::from_ref(&anchor),
        )
        .await
        .unwrap();
        Self {
            store: store.clone(),
            organization,
            project,
            key,
            anchor,
        }
    }

    /// Ten requests just now that the anchor let through.
    pub(crate) fn seen(&self, chain: Option<ChainDigest>) -> Observation {
        Observation {
            organization: self.organization.clone(),
            identity: ObservedWorkload {
                project: Some(self.project.clone()),
                key: Some(self.key.clone()),
                chain,
            },
            code: None,
            anchor: chain.map(|_| self.anchor.clone()),
            anchor_scope: chain.map(|_| AnchorScope::Project),
            reported: None,
            requests: 10,
            first_seen: START - 5,
            last_seen: START,
        }
    }

    pub(crate) async fn send(
        &self,
        number: u64,
        chains: &[Chain],
        seen: &[Observation],
    ) -> RecordedBatch {
        self.send_as(&gateway(1), number, chains, seen).await
    }

    async fn send_as(
        &self,
        gateway: &GatewayId,
        number: u64,
        chains: &[Chain],
        seen: &[Observation],
    ) -> RecordedBatch {
        let batch = ObservationBatch {
            gateway: gateway.clone(),
            number,
            chains: Vec::new(),
            observations: seen.to_vec(),
            refusals: None,
            refused_by: None,
            live: None,
        };
        self.send_batch(&batch, chains).await
    }

    pub(crate) async fn send_batch(
        &self,
        batch: &ObservationBatch,
        chains: &[Chain],
    ) -> RecordedBatch {
        let chains: Vec<_> = chains
            .iter()
            .map(|chain| {
                ReceivedChain::new(&ObservedChain {
                    organization: self.organization.clone(),
                    certificates: chain.certificates.iter().cloned().map(Der).collect(),
                })
            })
            .collect();
        self.store
            .record_observations(batch, &chains, KEEP)
            .await
            .unwrap()
    }

    async fn requests(&self) -> u64 {
        let workloads = seen_workloads(&self.store, &self.organization, 0).await;
        workloads.iter().map(|each| each.requests).sum()
    }
}

/// Every chain that is kept of an organization's workloads.
pub(crate) async fn kept_chains(
    store: &Store,
    organization: &OrganizationId,
) -> HashMap<ChainDigest, ObservedIdentity> {
    let mut all = HashMap::new();
    let mut pages = store.workloads(organization, 0);
    while let Some(page) = pages.next().await.unwrap() {
        let chains = store.chains_of(organization, &page).await.unwrap();
        assert!(chains.len() <= WORKLOADS_OF_A_PAGE);
        all.extend(chains);
    }
    all
}

/// The workloads of an organization that were seen since a time, in the order of their pages.
pub(crate) async fn seen_workloads(
    store: &Store,
    organization: &OrganizationId,
    since: u64,
) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut pages = store.workloads(organization, since);
    while let Some(page) = pages.next().await.unwrap() {
        assert!(page.workloads.len() <= WORKLOADS_OF_A_PAGE);
        all.extend(page.workloads);
    }
    all
}

fn gateway(number: u128) -> GatewayId {
    GatewayId::from_random(number)
}

#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) digest: ChainDigest,
    pub(crate) certificates: Vec<Vec<u8>>,
}

pub(crate) fn chain(certificates: Vec<Vec<u8>>) -> Chain {
    let ders = certificates.iter().cloned().map(Into::into).collect();
    Chain {
        digest: Presented::new(ders).sha256(),
        certificates,
    }
}

/// A leaf and its intermediate.
pub(crate) fn leaf(name: &str) -> Chain {
    let root = root("Client Root").mint();
    let between = root.intermediate("Client Issuing CA").mint();
    let leaf = between.leaf(name).mint();
    chain(vec![leaf.der().to_vec(), between.der().to_vec()])
}

/// The observation with each of these changes alone.
fn changed(good: &Observation, changes: &[&dyn Fn(&mut Observation)]) -> Vec<Observation> {
    let with = |change: &&dyn Fn(&mut Observation)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    changes.iter().map(with).collect()
}

fn kept(accepted: u64) -> RecordedBatch {
    RecordedBatch {
        accepted,
        requests: 10 * accepted,
        ..RecordedBatch::default()
    }
}

fn refused(reason: NotKept, number: u64) -> RecordedBatch {
    RecordedBatch {
        refused: [(reason, number)].into(),
        ..RecordedBatch::default()
    }
}

#[test]
fn what_is_seen_is_summed_up_by_who_called_with_which_chain() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let revision = store.revision().await.unwrap();
        let chain = leaf("billing");
        let seen = scene.seen(Some(chain.digest));
        let nothing_presented = Observation {
            code: Some(ErrorCode::CertificateRequired),
            ..scene.seen(None)
        };
        let batch = [seen.clone(), nothing_presented];
        assert_eq!(
            scene.send(1, std::slice::from_ref(&chain), &batch).await,
            kept(2)
        );
        // A day later the anchor is gone from the project and the same client is refused.
        setting.clock.set(START + DAY);
        let later = Observation {
            code: Some(ErrorCode::CertificateVerificationFailed),
            anchor: None,
            anchor_scope: None,
            reported: Some(ReportedOutcome {
                code: None,
                anchor: Some(scene.anchor.clone()),
            }),
            first_seen: START + DAY - 1,
            last_seen: START + DAY,
            ..seen
        };
        assert_eq!(scene.send(2, &[], &[later]).await, kept(1));

        let organization = &scene.organization;
        let workloads = seen_workloads(&store, organization, 0).await;
        assert_eq!(workloads.len(), 2, "{workloads:?}");
        let of = |chain| {
            let mut listed = workloads.iter();
            listed.find(|each| each.identity.chain == chain).unwrap()
        };
        let with = of(Some(chain.digest));
        let identity = scene.seen(Some(chain.digest)).identity;
        assert_eq!(with.identity, identity);
        assert_eq!((with.requests, with.first_seen), (20, START - 5));
        assert_eq!(with.last_seen, START + DAY);
        assert_eq!(with.code, Some(ErrorCode::CertificateVerificationFailed));
        assert_eq!(with.anchor, None);
        assert_eq!(of(None).code, Some(ErrorCode::CertificateRequired));

        // Since the second day, only who was seen then, and only those requests.
        let workloads = seen_workloads(&store, organization, START + DAY).await;
        assert_eq!(workloads.len(), 1);
        assert_eq!(workloads[0].requests, 10);

        let chains = kept_chains(&store, organization).await;
        assert_eq!(chains.len(), 1);
        let identity = &chains[&chain.digest];
        assert_eq!(identity.certificates, chain.certificates);
        assert!(identity.leaf.subject.contains("billing"), "{identity:?}");
        assert!(identity.leaf.issuer.contains("Client Issuing CA"));
        assert!(identity.leaf.authority_key.is_some() && identity.leaf.not_after.is_some());
        // It is no change: no gateway has anything to fetch.
        assert_eq!(store.revision().await.unwrap(), revision);
    });
}

#[test]
fn a_batch_is_applied_once_whichever_copy_comes_and_when() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let seen = [scene.seen(None)];
        assert_eq!(scene.send(7, &[], &seen).await, kept(1));
        for number in [7, 6, 1] {
            assert_eq!(scene.send(number, &[], &seen).await, kept(0), "{number}");
        }
        // Another gateway numbers its own.
        assert_eq!(scene.send_as(&gateway(2), 7, &[], &seen).await, kept(1));
        // Copies that arrive at once, at two nodes.
        let other = setting.open().await;
        let elsewhere = Scene {
            store: other,
            organization: scene.organization.clone(),
            project: scene.project.clone(),
            key: scene.key.clone(),
            anchor: scene.anchor.clone(),
        };
        let sends = (0..8).map(|turn| {
            let node = if turn % 2 == 0 { &scene } else { &elsewhere };
            node.send(8, &[], &seen)
        });
        let answers = futures_util::future::join_all(sends).await;
        assert_eq!(answers.iter().map(|each| each.accepted).sum::<u64>(), 1);
        assert_eq!(scene.requests().await, 30);
    });
}

#[test]
fn a_missing_chain_stops_the_whole_batch_and_is_named() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let (one, two) = (leaf("one"), leaf("two"));
        let seen = [
            scene.seen(Some(one.digest)),
            scene.seen(Some(two.digest)),
            scene.seen(None),
        ];
        let answer = scene.send(1, std::slice::from_ref(&one), &seen).await;
        assert_eq!(answer.unknown_chains, [two.digest]);
        assert_eq!(scene.requests().await, 0);
        let chains = kept_chains(&store, &scene.organization).await;
        assert!(chains.is_empty());
        // The number is still free, and a chain is known by what is computed here.
        let forged = Chain {
            digest: two.digest,
            certificates: leaf("three").certificates,
        };
        let answer = scene.send(1, &[one.clone(), forged], &seen).await;
        assert_eq!(answer.unknown_chains, [two.digest]);
        assert_eq!(scene.send(1, &[one, two], &seen).await, kept(3));
        assert_eq!(scene.send(2, &[], &seen).await, kept(3));
        assert_eq!(scene.requests().await, 60);
    });
}

#[test]
fn a_chain_of_one_organization_is_unknown_in_another() {
    on_each(async |setting| {
        let store = setting.open().await;
        let (ours, theirs) = (Scene::new(&store).await, Scene::new(&store).await);
        let chain = leaf("billing");
        let seen = [ours.seen(Some(chain.digest))];
        assert_eq!(
            ours.send(1, std::slice::from_ref(&chain), &seen).await,
            kept(1)
        );
        let seen = [theirs.seen(Some(chain.digest))];
        let answer = theirs.send(2, &[], &seen).await;
        assert_eq!(answer.unknown_chains, [chain.digest]);
        assert_eq!(
            theirs.send(2, std::slice::from_ref(&chain), &seen).await,
            kept(1)
        );
        for scene in [&ours, &theirs] {
            assert_eq!(scene.requests().await, 10);
            let chains = kept_chains(&store, &scene.organization).await;
            assert_eq!(chains[&chain.digest].certificates, chain.certificates);
        }
    });
}

#[test]
fn what_belongs_to_another_organization_is_not_kept() {
    on_each(async |setting| {
        let store = setting.open().await;
        let (ours, theirs) = (Scene::new(&store).await, Scene::new(&store).await);
        let chain = leaf("billing");
        let good = ours.seen(Some(chain.digest));
        let reported = ReportedOutcome {
            code: None,
            anchor: Some(theirs.anchor.clone()),
        };
        let wrong = changed(
            &good,
            &[
                &|it| it.organization = theirs.organization.clone(),
                &|it| it.organization = OrganizationId::from_random(1),
                &|it| it.identity.project = Some(theirs.project.clone()),
                &|it| {
                    (it.identity.project, it.anchor_scope) = (None, Some(AnchorScope::Organization))
                },
                &|it| (it.identity.project, it.identity.key) = (Some(theirs.project.clone()), None),
                &|it| it.identity.key = Some(theirs.key.clone()),
                &|it| it.identity.key = Some(ApiKeyId::from_random(1)),
                &|it| it.anchor = Some(theirs.anchor.clone()),
                &|it| it.reported = Some(reported.clone()),
            ],
        );
        let number = u64::try_from(wrong.len()).unwrap();
        let mut answer = ours.send(1, std::slice::from_ref(&chain), &wrong).await;
        assert_eq!(answer, refused(NotKept::Foreign, number));
        // One among good ones is left out alone.
        answer = ours.send(2, &[chain], &[wrong[0].clone(), good]).await;
        assert_eq!((answer.accepted, answer.refused[&NotKept::Foreign]), (1, 1));
        assert_eq!(theirs.requests().await, 0);
        assert!(kept_chains(&store, &theirs.organization).await.is_empty());
    });
}

#[test]
fn what_no_gateway_can_have_seen_is_not_kept() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let reported = ReportedOutcome {
            code: Some(ErrorCode::InvalidApiKey),
            anchor: None,
        };
        let wrong = changed(
            &scene.seen(None),
            &[
                &|it| it.requests = 0,
                &|it| it.requests = u64::MAX,
                &|it| (it.identity.project, it.identity.key) = (None, None),
                &|it| it.code = Some(ErrorCode::NotFound),
                &|it| it.anchor = Some(scene.anchor.clone()),
                &|it| it.anchor_scope = Some(AnchorScope::Organization),
                &|it| it.reported = Some(reported.clone()),
            ],
        );
        let number = u64::try_from(wrong.len()).unwrap();
        let answer = scene.send(1, &[], &wrong).await;
        assert_eq!(answer, refused(NotKept::Implausible, number));
        assert_eq!(scene.requests().await, 0);
    });
}

#[test]
fn an_anchor_that_was_deleted_meanwhile_takes_nothing_with_it() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let chain = leaf("billing");
        let gone = upload(&store, &scene.organization, "b").await.id;
        delete(&store, &scene.organization, &gone).await.unwrap();
        let seen = Observation {
            anchor: Some(gone),
            ..scene.seen(Some(chain.digest))
        };
        assert_eq!(scene.send(1, &[chain], &[seen]).await, kept(1));
        let workloads = seen_workloads(&store, &scene.organization, 0).await;
        assert_eq!((workloads.len(), &workloads[0].anchor), (1, &None));
    });
}

#[test]
fn clocks_that_differ_neither_keep_the_future_nor_the_long_past() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let seen = |first_seen, last_seen| Observation {
            first_seen,
            last_seen,
            ..scene.seen(None)
        };
        let future = [
            seen(START + 10 * DAY, START + 20 * DAY),
            seen(START, START - 9),
        ];
        assert_eq!(scene.send(1, &[], &future).await, kept(2));
        let workloads = seen_workloads(&store, &scene.organization, 0).await;
        assert_eq!(workloads[0].last_seen, START);
        assert_eq!(workloads[0].first_seen, START - 9);
        // The first day that is kept, and the last second before it.
        let first = (START / DAY + 1 - u64::from(KEEP)) * DAY;
        let old = [seen(0, first - 1), seen(0, first)];
        let answer = scene.send(2, &[], &old).await;
        assert_eq!(
            (answer.accepted, &answer.refused),
            (1, &[(NotKept::TooOld, 1)].into())
        );
        assert_eq!(scene.requests().await, 30);
    });
}

#[test]
fn a_chain_that_cannot_be_read_is_kept_without_its_names() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let garbage = chain(vec![vec![0xff, 0, 0x30], Vec::new(), vec![0xff, 0, 0x30]]);
        let seen = Observation {
            code: Some(ErrorCode::CertificateVerificationFailed),
            anchor: None,
            anchor_scope: None,
            ..scene.seen(Some(garbage.digest))
        };
        assert_eq!(
            scene.send(1, std::slice::from_ref(&garbage), &[seen]).await,
            kept(1)
        );
        let chains = kept_chains(&store, &scene.organization).await;
        let identity = &chains[&garbage.digest];
        assert_eq!(identity.certificates, garbage.certificates);
        assert_eq!(identity.leaf, Default::default());
    });
}

#[test]
fn what_is_older_than_it_is_kept_is_forgotten_and_its_chains_with_it() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let (stays, goes) = (leaf("stays"), leaf("goes"));
        let seen = [
            scene.seen(Some(stays.digest)),
            scene.seen(Some(goes.digest)),
        ];
        let both = [stays.clone(), goes.clone()];
        assert_eq!(scene.send(1, &both, &seen).await, kept(2));
        let later = START + 60 * DAY;
        setting.clock.set(later);
        let again = Observation {
            first_seen: later,
            last_seen: later,
            ..seen[0].clone()
        };
        assert_eq!(scene.send(2, &[], &[again]).await, kept(1));

        // On the last day that holds everything, nothing goes.
        setting.clock.set((START / DAY + u64::from(KEEP)) * DAY - 1);
        store.forget_observations(KEEP).await.unwrap();
        assert_eq!(scene.requests().await, 30);
        // On the next, the first day does: for one chain all that there was.
        setting.clock.set((START / DAY + u64::from(KEEP)) * DAY);
        let other = setting.open().await;
        let (one, two) = tokio::join!(
            store.forget_observations(KEEP),
            other.forget_observations(KEEP)
        );
        one.unwrap();
        two.unwrap();
        assert_eq!(scene.requests().await, 10);
        let chains = kept_chains(&store, &scene.organization).await;
        assert_eq!(chains.keys().collect::<Vec<_>>(), [&stays.digest]);
        assert_eq!(chains[&stays.digest].certificates, stays.certificates);
        let now = START + u64::from(KEEP) * DAY;
        let seen = Observation {
            first_seen: now,
            last_seen: now,
            ..scene.seen(Some(goes.digest))
        };
        let answer = scene.send(3, &[], &[seen]).await;
        assert_eq!(answer.unknown_chains, [goes.digest]);
    });
}

#[test]
fn two_gateways_at_two_nodes_add_up_with_the_same_chains() {
    on_each_shared(async |setting| {
        let (here, there) = (setting.open().await, setting.open().await);
        let scene = Scene::new(&here).await;
        let chains: Vec<_> = (0..4).map(|number| leaf(&format!("w{number}"))).collect();
        let mut seen: Vec<_> = chains
            .iter()
            .map(|it| scene.seen(Some(it.digest)))
            .collect();
        let backwards: Vec<_> = seen.iter().rev().cloned().collect();
        seen.push(scene.seen(None));
        let elsewhere = Scene {
            store: there,
            organization: scene.organization.clone(),
            project: scene.project.clone(),
            key: scene.key.clone(),
            anchor: scene.anchor.clone(),
        };
        let (one, two) = (gateway(1), gateway(2));
        for number in 1..=10 {
            let (here, there) = tokio::join!(
                scene.send_as(&one, number, &chains, &seen),
                elsewhere.send_as(&two, number, &chains, &backwards)
            );
            assert_eq!((here, there), (kept(5), kept(4)));
        }
        assert_eq!(scene.requests().await, 900);
        let kept = kept_chains(&here, &scene.organization).await;
        assert_eq!(kept.len(), 4);
    });
}
