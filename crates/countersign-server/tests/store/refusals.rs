//! Refused requests are known by their caller, leaf and code, however many leaves there are, and a flood
//! of them takes bounded room.

use countersign_server::store::{PageRequest, RecordedBatch, Store};
use countersign_types::{
    digest::Sha256,
    error::ErrorCode,
    id::{ApiKeyId, GatewayId, OrganizationId},
    observation::ObservationBatch,
    page::Order,
    refusal::{Refusal, RefusalSummary, RefusedLeaf},
};

use crate::{
    growth::bytes,
    observations::Scene,
    setting::{START, on_each, on_each_shared, organization, project},
};

const DAY: u64 = 24 * 60 * 60;
/// What `docs/gateway.md` says of one organization.
const MAX_BYTES: u64 = 3 * 1024 * 1024;

fn leaf(number: u64) -> RefusedLeaf {
    RefusedLeaf::new(
        Sha256::of(number.to_be_bytes()),
        &format!("CN=flood {number}"),
    )
}

/// Three refused requests just now.
fn refused(scene: &Scene, leaf: Option<RefusedLeaf>) -> RefusalSummary {
    let seen = scene.seen(None);
    RefusalSummary {
        organization: seen.organization,
        project: seen.identity.project,
        key: seen.identity.key,
        leaf,
        code: ErrorCode::CertificateVerificationFailed,
        requests: 3,
        first_seen: START - 5,
        last_seen: START,
    }
}

fn batch(number: u64, refusals: Vec<RefusalSummary>) -> ObservationBatch {
    ObservationBatch {
        gateway: GatewayId::from_random(1),
        number,
        chains: Vec::new(),
        observations: Vec::new(),
        refusals: Some(refusals),
        refused_by: None,
        live: None,
    }
}

async fn send(scene: &Scene, number: u64, refusals: Vec<RefusalSummary>) -> RecordedBatch {
    scene.send_batch(&batch(number, refusals), &[]).await
}

/// All of an organization, page by page, oldest first.
async fn listed(store: &Store, organization: &OrganizationId) -> Vec<Refusal> {
    let mut request = PageRequest {
        limit: 100,
        order: Order::Asc,
        after: None,
    };
    let mut all = Vec::new();
    loop {
        let page = store.list_refusals(organization, &request).await.unwrap();
        request.after = page.last_id;
        all.extend(page.data);
        if !page.has_more {
            return all;
        }
    }
}

fn requests(refusals: &[Refusal]) -> u64 {
    refusals.iter().map(|each| each.requests).sum()
}

#[test]
fn a_flood_of_ever_new_leaves_takes_bounded_room_and_stays_visible() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let victim = RefusalSummary {
            key: None,
            ..refused(&scene, Some(leaf(u64::MAX)))
        };
        send(&scene, 1, vec![victim]).await;
        let empty = bytes(&setting).await;
        let mut sizes = Vec::new();
        for round in 0..10 {
            let flood = (0..1000).map(|at| refused(&scene, Some(leaf(1000 * round + at))));
            let done = send(&scene, round + 2, flood.collect()).await;
            assert_eq!(done.refusals, 1000);
            sizes.push(bytes(&setting).await.saturating_sub(empty));
        }
        println!(
            "{:?}: after each of 10 batches: {sizes:?} bytes",
            setting.location
        );
        assert!(sizes.iter().all(|size| *size <= MAX_BYTES), "{sizes:?}");
        let all = listed(&store, &scene.organization).await;
        // The newest leaves, one row of all others, and another caller's leaf, which stays.
        assert_eq!((all.len(), requests(&all)), (202, 3 * 10_001));
        let of = |number| all.iter().find(|each| each.leaf == Some(leaf(number)));
        assert!(of(u64::MAX).unwrap().api_key_id.is_none());
        assert_eq!(of(9_999).unwrap().requests, 3);
        let several = all.iter().find(|each| each.leaf.is_none()).unwrap();
        assert_eq!(several.requests, 3 * 9_800);
        assert_eq!(several.api_key_id, scene.seen(None).identity.key);
        assert_eq!((several.first_seen, several.last_seen), (START - 5, START));
    });
}

#[test]
fn what_is_refused_is_summed_up_by_caller_leaf_and_code() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let revision = store.revision().await.unwrap();
        let invalid = RefusalSummary {
            code: ErrorCode::InvalidCertificate,
            ..refused(&scene, Some(leaf(1)))
        };
        let none = RefusalSummary {
            code: ErrorCode::CertificateRequired,
            ..refused(&scene, None)
        };
        let all = vec![refused(&scene, Some(leaf(1))), invalid, none.clone()];
        assert_eq!(send(&scene, 1, all).await.refusals, 3);
        setting.clock.set(START + DAY);
        let later = RefusalSummary {
            requests: 4,
            first_seen: START + DAY - 1,
            // A gateway whose clock runs fast.
            last_seen: START + 9 * DAY,
            ..none
        };
        assert_eq!(send(&scene, 2, vec![later.clone()]).await.refusals, 1);
        // A batch that comes again changes nothing.
        assert_eq!(send(&scene, 2, vec![later]).await, RecordedBatch::default());
        let all = listed(&store, &scene.organization).await;
        assert_eq!((all.len(), requests(&all)), (3, 13));
        let none = all.iter().find(|each| each.leaf.is_none()).unwrap();
        assert_eq!(none.code, ErrorCode::CertificateRequired);
        assert_eq!((none.first_seen, none.last_seen), (START - 5, START + DAY));
        // It is no change, and as old as observations may be.
        assert_eq!(store.revision().await.unwrap(), revision);
        setting.clock.set(START + 90 * DAY);
        store.forget_observations(90).await.unwrap();
        assert_eq!(requests(&listed(&store, &scene.organization).await), 7);
    });
}

#[test]
fn what_another_organizations_caller_did_is_not_kept() {
    on_each(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let other = organization(&store).await;
        let good = refused(&scene, Some(leaf(1)));
        let bad = [
            RefusalSummary {
                organization: other.clone(),
                ..good.clone()
            },
            RefusalSummary {
                key: Some(ApiKeyId::from_random(7)),
                ..good.clone()
            },
            RefusalSummary {
                project: None,
                ..good.clone()
            },
            RefusalSummary {
                requests: 0,
                ..good.clone()
            },
            RefusalSummary {
                requests: 1 << 41,
                ..good.clone()
            },
            RefusalSummary {
                code: ErrorCode::NotFound,
                ..good.clone()
            },
            RefusalSummary {
                last_seen: START - 100 * DAY,
                ..good.clone()
            },
            RefusalSummary {
                organization: OrganizationId::from_random(5),
                project: None,
                key: None,
                ..good.clone()
            },
        ];
        assert_eq!(send(&scene, 1, bad.to_vec()).await.refusals, 0);
        // Several callers, and one.
        let several = RefusalSummary {
            project: None,
            key: None,
            leaf: None,
            ..good.clone()
        };
        assert_eq!(send(&scene, 2, vec![good, several]).await.refusals, 2);
        assert_eq!(requests(&listed(&store, &scene.organization).await), 6);
        assert_eq!(listed(&store, &other).await, []);
    });
}

#[test]
fn callers_of_an_organization_are_kept_apart_until_there_are_too_many() {
    on_each_shared(async |setting| {
        let store = setting.open().await;
        let scene = Scene::new(&store).await;
        let mut projects = Vec::new();
        for number in 0..12 {
            let made = project(&store, &scene.organization, &format!("{number}")).await;
            projects.push(made.id);
        }
        let empty = bytes(&setting).await;
        for (number, project) in (1..).zip(&projects) {
            let of = |at| RefusalSummary {
                project: Some(project.clone()),
                key: None,
                ..refused(&scene, Some(leaf(at)))
            };
            send(&scene, number, (0..250).map(of).collect()).await;
        }
        let grown = bytes(&setting).await.saturating_sub(empty);
        println!("{:?}: {grown} bytes", setting.location);
        assert!(grown <= MAX_BYTES, "{grown}");
        let all = listed(&store, &scene.organization).await;
        assert_eq!((all.len(), requests(&all)), (2_001, 3 * 12 * 250));
        let nobody = all.iter().find(|each| each.project_id.is_none()).unwrap();
        assert_eq!((&nobody.api_key_id, &nobody.leaf), (&None, &None));
        // Who was refused last is named.
        let last = all
            .iter()
            .filter(|each| each.project_id.as_ref() == projects.last());
        assert_eq!(last.count(), 201);
    });
}
