//! Gateway keys that are limited to organizations.

use countersign_types::id::OrganizationId;
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const BUNDLE: &str = "/v1/countersign/bundle";
const GATEWAYS: &str = "/v1/countersign/gateways";

/// A gateway key for these organizations alone.
async fn limited(server: &Server, organizations: &[&OrganizationId]) -> String {
    let only: Vec<_> = organizations.iter().map(|id| (*id).clone()).collect();
    let made = server.store.create_gateway_key_for("edge", Some(&only));
    made.await.unwrap().value.reveal().to_owned()
}

/// The server's own organization and another one, with the other's key.
async fn two(server: &Server) -> (OrganizationId, OrganizationId, String) {
    let other = server.store.create_organization("Other").await.unwrap();
    let key = other.key.value.unwrap().reveal().to_owned();
    let own = server.organization.parse().unwrap();
    (own, other.organization.id, key)
}

async fn get(server: &Server, key: &str, path: &str) -> Value {
    server.get(path).key(key).ok().await
}

/// The organizations of an answer.
fn ids(answer: &Value) -> Vec<&str> {
    let all = answer["organizations"].as_array().unwrap();
    all.iter()
        .map(|each| each["id"].as_str().unwrap())
        .collect()
}

/// The request for what comes after an answer.
fn after(answer: &Value) -> String {
    let (revision, token) = (&answer["revision"], answer["token"].as_str().unwrap());
    format!("{BUNDLE}?after={revision}&token={token}&wait=0")
}

#[tokio::test]
async fn a_limited_key_is_sent_its_organizations_and_nothing_of_others() {
    on_each_store(async |server| {
        let (own, other, other_key) = two(server).await;
        let key = limited(server, &[&own]).await;
        for path in [
            format!("{BUNDLE}?wait=0"),
            format!("{BUNDLE}?paged=true&wait=0"),
            format!("{BUNDLE}?from=org-0"),
            format!("{BUNDLE}/digests"),
            format!("{BUNDLE}?organizations[]={own}&organizations[]={other}"),
        ] {
            let answer = get(server, &key, &path).await;
            assert_eq!(ids(&answer), [own.as_str()], "{path}");
        }
        let first = get(server, &key, &format!("{BUNDLE}?wait=0")).await;
        assert_eq!(first["complete"], true);
        server
            .post("/v1/organization/projects", json!({ "name": "p" }))
            .key(&other_key)
            .ok()
            .await;
        let second = get(server, &key, &after(&first)).await;
        assert_eq!(
            (ids(&second).len(), &second["complete"]),
            (0, &json!(false))
        );
        assert_ne!(first["revision"], second["revision"]);
        server
            .post("/v1/organization/projects", json!({ "name": "p" }))
            .ok()
            .await;
        let third = get(server, &key, &after(&first)).await;
        assert_eq!(
            (ids(&third), &third["complete"]),
            (vec![own.as_str()], &json!(false))
        );
        let digests = get(server, &key, &format!("{BUNDLE}/digests")).await;
        assert_eq!(digests["token"], third["token"], "the same point");
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_given_another_key_is_sent_all_that_this_one_reaches() {
    on_each_store(async |server| {
        let (own, other, _) = two(server).await;
        let keys = [
            server.gateway_key().await,
            limited(server, &[&own]).await,
            limited(server, &[&other]).await,
            limited(server, &[&own, &other]).await,
        ];
        for (place, before) in keys.iter().enumerate() {
            let first = get(server, before, &format!("{BUNDLE}?wait=0")).await;
            for (other_place, key) in keys.iter().enumerate() {
                let again = get(server, key, &after(&first)).await;
                assert_eq!(again["complete"], place != other_place);
            }
        }
        let twin = limited(server, &[&own]).await;
        let first = get(server, &twin, &format!("{BUNDLE}?wait=0")).await;
        let again = get(server, &keys[1], &after(&first)).await;
        assert_eq!(again["complete"], false, "the same organizations");
    })
    .await;
}

#[tokio::test]
async fn a_limited_gateway_counts_for_its_own_organizations() {
    on_each_store(async |server| {
        let (own, _, other_key) = two(server).await;
        let (key, all) = (limited(server, &[&own]).await, server.gateway_key().await);
        let first = get(server, &key, &format!("{BUNDLE}?wait=0")).await;
        get(
            server,
            &key,
            &format!("{}&gateway=gw_limited", after(&first)),
        )
        .await;
        get(server, &all, &format!("{BUNDLE}?wait=0&gateway=gw_all")).await;
        server
            .post("/v1/organization/projects", json!({ "name": "p" }))
            .key(&other_key)
            .ok()
            .await;
        let listed = async |key: &str| {
            let list = get(server, key, GATEWAYS).await;
            let gateways = list["gateways"].as_array().unwrap().iter();
            let found = gateways.map(|each| {
                let behind = each["revision"] != list["revision"];
                (each["id"].as_str().unwrap().to_owned(), behind)
            });
            found.collect::<Vec<_>>()
        };
        let (of_limited, of_all) = (
            ("gw_limited".to_owned(), false),
            ("gw_all".to_owned(), true),
        );
        assert_eq!(listed(&key).await, std::slice::from_ref(&of_limited));
        assert_eq!(listed(&other_key).await, std::slice::from_ref(&of_all));
        for key in [&all, &server.key] {
            let mut both = listed(key).await;
            both.sort();
            assert_eq!(both, [of_all.clone(), of_limited.clone()]);
        }
        // It cannot speak for a gateway of all organizations, whose id every administrator sees.
        let claim = format!("{}&gateway=gw_all&durable=true", after(&first));
        get(server, &key, &claim).await;
        assert_eq!(listed(&key).await, std::slice::from_ref(&of_limited));
        assert_eq!(listed(&other_key).await, std::slice::from_ref(&of_all));
        // A gateway's key may be replaced by one that reaches as much.
        let same = limited(server, &[&own]).await;
        let again = format!("{}&gateway=gw_limited&durable=true", after(&first));
        get(server, &same, &again).await;
        assert_eq!(listed(&same).await.len(), 1);
        get(server, &key, &again).await;
        server
            .post("/v1/organization/projects", json!({ "name": "p" }))
            .ok()
            .await;
        assert_eq!(listed(&key).await, [("gw_limited".to_owned(), true)]);
        let forget = |id: &str| server.delete(&format!("{GATEWAYS}/{id}"));
        forget("gw_all").key(&key).refused("not_found", None).await;
        forget("gw_limited").key(&key).ok().await;
        forget("gw_all").key(&all).ok().await;
    })
    .await;
}

#[tokio::test]
async fn a_gateway_whose_limited_key_was_deleted_concerns_its_organizations_alone() {
    on_each_store(async |server| {
        let (own, _, other_key) = two(server).await;
        let key = limited(server, &[&own]).await;
        let first = get(server, &key, &format!("{BUNDLE}?wait=0")).await;
        let report = format!("{}&gateway=gw_limited&durable=true", after(&first));
        get(server, &key, &report).await;
        let [made] = &server.store.list_gateway_keys().await.unwrap()[..] else {
            panic!("one key");
        };
        server.store.delete_gateway_key(&made.id).await.unwrap();
        let pending = async |key: &str| {
            let list = get(server, key, GATEWAYS).await;
            let gateways = list["gateways"].as_array().unwrap().iter();
            let pending = gateways.map(|each| each["revision"] != list["revision"]);
            pending.collect::<Vec<_>>()
        };
        for key in [&server.key, &other_key] {
            let project = server.post("/v1/organization/projects", json!({ "name": "p" }));
            project.key(key).ok().await;
        }
        assert!(pending(&other_key).await.is_empty());
        assert_eq!(pending(&server.key).await, [true]);
        // Its next key may speak for it.
        let next = limited(server, &[&own]).await;
        let now = get(server, &next, &format!("{BUNDLE}?wait=0")).await;
        let report = format!("{}&gateway=gw_limited&durable=true", after(&now));
        get(server, &next, &report).await;
        assert_eq!(pending(&next).await, [false]);
        assert_eq!(pending(&server.key).await, [false]);
    })
    .await;
}

#[tokio::test]
async fn what_a_limited_gateway_observes_of_others_is_not_kept() {
    on_each_store(async |server| {
        let (own, other, _) = two(server).await;
        let fixture = server.fixture().await;
        let key = limited(server, &[&own]).await;
        let observed = |organization: &OrganizationId| {
            json!({
                "organization": organization, "project": fixture.project, "key": fixture.project_key,
                "requests": 1, "first_seen": START, "last_seen": START,
                "code": "certificate_required",
            })
        };
        let body = json!({
            "gateway": "gw_limited", "number": 1, "chains": [],
            "observations": [observed(&own), observed(&other)],
        });
        let answer = server
            .post("/v1/countersign/observations", body)
            .key(&key)
            .ok()
            .await;
        assert_eq!(
            (&answer["accepted"], &answer["refused"]),
            (&json!(1), &json!(1))
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_whose_organizations_are_not_known_is_not_made_and_one_that_goes_leaves_nothing() {
    on_each_store(async |server| {
        let (own, ..) = two(server).await;
        let unknown = [own.clone(), OrganizationId::from_random(7)];
        let made = server.store.create_gateway_key_for("edge", Some(&unknown));
        assert!(made.await.is_err());
        assert_eq!(server.store.list_gateway_keys().await.unwrap(), []);
        let only = std::slice::from_ref(&own);
        let made = server.store.create_gateway_key_for("edge", Some(only));
        let made = made.await.unwrap().key;
        let listed = server.store.list_gateway_keys().await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&made));
        assert_eq!(made.organizations.unwrap()[0].name, "Acme");
        server.store.delete_gateway_key(&made.id).await.unwrap();
        assert_eq!(server.store.list_gateway_keys().await.unwrap(), []);
    })
    .await;
}
