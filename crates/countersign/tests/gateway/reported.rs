//! Anchors that are only reported: every request is judged against them and logged, and none is refused.

use std::sync::atomic::Ordering;

use countersign_testca::{oid, root};
use countersign_types::{
    certificate::{Enforcement, Scope},
    id::CertificateId,
};
use serde_json::Value;

use crate::{
    client::plain_get,
    world::{NOW, World, make_project},
};

impl World {
    async fn report(&self, scope: &Scope, id: &CertificateId) {
        let ids = std::slice::from_ref(id);
        let certificates = self.api.certificates();
        let done = certificates.activate_as(scope, ids, Enforcement::Report);
        self.enforced(done.await.unwrap().revision.unwrap()).await;
    }

    /// What `explain` shows for the request with this id.
    async fn explanation(&self, request_id: &str) -> Value {
        let operator = self.gateway.as_ref().unwrap().admin_address().unwrap();
        let explanation = plain_get(operator, &format!("/refusals/{request_id}")).await;
        serde_json::from_str(&explanation).unwrap()
    }

    /// The access log's lines, which are complete once the gateway has stopped.
    pub(crate) async fn log(&mut self) -> Vec<Value> {
        let path = self.options.access_log.clone().unwrap();
        self.stop().await;
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// `report_code` and `report_anchor` of each line.
fn reports(log: &[Value]) -> Vec<(Option<&str>, Option<&str>)> {
    log.iter()
        .map(|line| (line["report_code"].as_str(), line["report_anchor"].as_str()))
        .collect()
}

const REQUIRED: Option<&str> = Some("certificate_required");
const FAILED: Option<&str> = Some("certificate_verification_failed");
const PERMIT: Option<&str> = Some("permit");

#[tokio::test]
async fn a_reported_anchor_lets_everyone_pass_and_names_who_would_be_refused() {
    let mut world = World::new().await;
    assert_eq!(world.code(&[], &world.key).await, "");
    let id = world.upload(&world.ca, None).await;
    world.report(&world.scope(), &id).await;
    let (leaf, untrusted) = (
        world.ca.leaf("a").mint(),
        root("Other").mint().leaf("b").mint(),
    );
    assert_eq!(world.code(&[], &world.key).await, "");
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    let mut connection = world.tls(&[&untrusted]).connect(world.address()).await;
    for _ in 0..2 {
        let answer = connection.get("/v1/echo", &world.key, "").await;
        assert_eq!(answer.code(), "");
        let headers = &answer.json()["headers"];
        assert_eq!(headers.get("x-countersign-certificate"), None, "{headers}");
        let request_id = answer.header("x-request-id").unwrap();
        let explanation = world.explanation(request_id).await;
        assert_eq!(explanation["report_only"], true, "{explanation}");
        assert_eq!(explanation["code"].as_str(), FAILED);
        assert_eq!(explanation["project"], world.project.as_str());
        assert!(
            explanation["trace"].to_string().contains(id.as_str()),
            "{explanation}"
        );
    }
    let log = world.log().await;
    let anchor = Some(id.as_str());
    let expected = [
        (None, None),
        (REQUIRED, None),
        (PERMIT, anchor),
        (FAILED, None),
        (FAILED, None),
    ];
    assert_eq!(reports(&log), expected);
    assert!(
        log[0].get("report_code").is_none(),
        "nothing is said where nothing is reported"
    );
    assert!(
        log.iter()
            .all(|line| line["code"].is_null() && line["status"] == 200)
    );
    assert!(log[3]["leaf_sha256"].is_string(), "who would be refused");
}

#[tokio::test]
async fn an_anchor_reported_at_one_scope_can_be_enforced_at_another() {
    let mut world = World::new().await;
    let (other, other_key) = make_project(&world.api, "beta").await;
    let id = world.upload(&world.ca, None).await;
    world.activate(&world.scope(), &id).await;
    world.report(&Scope::Project(other), &id).await;
    let leaf = world.ca.leaf("a").mint();
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    assert_eq!(world.code(&[], &other_key).await, "");
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    assert_eq!(world.code(&[&leaf], &other_key).await, "");
    let anchor = Some(id.as_str());
    let expected = [
        (None, None),
        (REQUIRED, None),
        (None, None),
        (PERMIT, anchor),
    ];
    assert_eq!(reports(&world.log().await), expected);
}

#[tokio::test]
async fn reports_of_the_organization_cover_every_project_and_refused_requests_too() {
    let mut world = World::new().await;
    let (_, leaf) = world.with_active_ca().await;
    let new_ca = root("New CA").mint();
    let new = world.upload(&new_ca, None).await;
    world.report(&Scope::Organization, &new).await;
    let new_leaf = new_ca.leaf("a").mint();
    assert_eq!(world.code(&[&leaf], &world.key).await, "");
    let refused = "certificate_verification_failed";
    assert_eq!(world.code(&[&new_leaf], &world.key).await, refused);
    assert_eq!(world.code(&[], &world.key).await, "certificate_required");
    let log = world.log().await;
    let new = Some(new.as_str());
    let [old, promoted, none] = reports(&log)[..] else {
        panic!("{log:?}")
    };
    assert_eq!(old.0, PERMIT);
    assert_ne!(old.1, new, "the project's own anchor still comes first");
    assert_eq!(
        promoted,
        (PERMIT, new),
        "it would pass once the new one is enforced"
    );
    assert_eq!(none, (REQUIRED, None));
    assert_eq!(log[1]["code"].as_str(), FAILED);
}

#[tokio::test]
async fn a_change_of_enforcement_takes_effect_at_once() {
    let world = World::new().await;
    let id = world.upload(&world.ca, None).await;
    let untrusted = root("Other").mint().leaf("a").mint();
    let mut connection = world.tls(&[&untrusted]).connect(world.address()).await;
    for _ in 0..3 {
        world.report(&world.scope(), &id).await;
        assert_eq!(connection.get("/v1/echo", &world.key, "").await.code(), "");
        world.activate(&world.scope(), &id).await;
        let code = connection.get("/v1/echo", &world.key, "").await.code();
        assert_eq!(Some(code.as_str()), FAILED);
    }
    world.report(&world.scope(), &id).await;
    world.deactivate(&world.scope(), &id).await;
    let answer = connection.get("/v1/echo", &world.key, "").await;
    assert_eq!(answer.code(), "");
    let explanation = world
        .explanation(answer.header("x-request-id").unwrap())
        .await;
    assert!(
        explanation.get("error").is_some(),
        "nothing is reported any more: {explanation}"
    );
}

#[tokio::test]
async fn a_live_stream_is_cut_by_a_promotion_and_not_by_a_report() {
    let world = World::new().await;
    let mut connection = world.tls(&[]).connect(world.address()).await;
    connection
        .write(&format!(
            "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
            world.key
        ))
        .await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    let id = world.upload(&world.ca, None).await;
    world.report(&world.scope(), &id).await;
    assert_eq!(connection.chunk().await.unwrap(), b"data: first\n\n");
    world.activate(&world.scope(), &id).await;
    let rest = tokio::time::timeout(crate::world::LIMIT, connection.rest());
    assert!(
        !rest
            .await
            .expect("the stream to be cut")
            .ends_with(b"0\r\n\r\n")
    );
}

#[tokio::test]
async fn a_refusal_by_a_policy_is_reported() {
    let mut world = World::new().await;
    let policy = "subject.organizational_unit == \"Production\"";
    let id = world.upload(&world.ca, Some(policy)).await;
    world.report(&world.scope(), &id).await;
    for unit in ["Production", "Test"] {
        let leaf = world.ca.leaf("a").attribute(oid::ORGANIZATIONAL_UNIT, unit);
        assert_eq!(world.code(&[&leaf.mint()], &world.key).await, "");
    }
    let expected = [
        (PERMIT, Some(id.as_str())),
        (Some("certificate_attribute_verification_failed"), None),
    ];
    assert_eq!(reports(&world.log().await), expected);
}

#[tokio::test]
async fn a_report_is_not_remembered_past_the_validity_of_its_certificates() {
    let mut world = World::new().await;
    let id = world.upload(&world.ca, None).await;
    world.report(&world.scope(), &id).await;
    let (start, end) = (
        i64::try_from(NOW + 60).unwrap(),
        i64::try_from(NOW + 100).unwrap(),
    );
    let leaf = world.ca.leaf("short").valid(start, end).mint();
    let mut connection = world.tls(&[&leaf]).connect(world.address()).await;
    for now in [NOW, NOW + 60, NOW + 100, NOW + 101] {
        world.clock.store(now, Ordering::Relaxed);
        assert_eq!(connection.get("/v1/echo", &world.key, "").await.code(), "");
    }
    let anchor = Some(id.as_str());
    let expected = [
        (FAILED, None),
        (PERMIT, anchor),
        (PERMIT, anchor),
        (FAILED, None),
    ];
    assert_eq!(reports(&world.log().await), expected);
}

#[tokio::test]
async fn a_reported_policy_refuses_nobody_and_names_who_it_would_refuse() {
    let mut world = World::new().await;
    let id = world.upload(&world.ca, None).await;
    world.activate(&world.scope(), &id).await;
    let certificates = world.api.certificates();
    let policy = Some("subject.common_name == \"a\"");
    let set = certificates.report_policy(&id, policy).await.unwrap();
    world.enforced(set.revision.unwrap()).await;
    let [fits, other] = ["a", "b"].map(|name| world.ca.leaf(name).mint());
    assert_eq!(world.code(&[&fits], &world.key).await, "");
    assert_eq!(world.code(&[&other], &world.key).await, "");
    let codes: Vec<_> = reports(&world.log().await)
        .into_iter()
        .map(|(code, _)| code.map(str::to_owned))
        .collect();
    let denied = "certificate_attribute_verification_failed";
    assert_eq!(codes, [PERMIT.map(str::to_owned), Some(denied.to_owned())]);
}
