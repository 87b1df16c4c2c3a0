//! Revocation lists: what is kept of them, what is refused, who gets them, and that changes of trust know them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_testca::{CrlTemplate, Minted, oid, root};
use countersign_types::{
    digest::Sha256,
    revoked_set::{RECORD_BYTES, RevokedSet},
};
use countersign_verify::presented::Presented;
use serde_json::{Value, json};

use crate::harness::{START, Server, on_each_store};

const CHANGES: &str = "/v1/organization/changes";
const SETS: &str = "/v1/countersign/revoked-sets";

/// A CA that is enforced for the organization, and a client under it.
struct Scene {
    ca: Minted,
    certificate: String,
    client: Minted,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let ca = root("Client CA").mint();
        let body = json!({ "certificate": ca.pem() });
        let made = server.post("/v1/organization/certificates", body).ok();
        let certificate = made.await["id"].as_str().unwrap().to_owned();
        server.toggle("activate", None, &[&certificate]).await;
        Self {
            client: ca.leaf("billing").mint(),
            certificate,
            ca,
        }
    }

    fn one(&self) -> String {
        format!("/v1/organization/certificates/{}", self.certificate)
    }

    fn crls(&self) -> String {
        format!("{}/crls", self.one())
    }

    /// A list of the CA that is current.
    fn list(&self, number: u8) -> CrlTemplate {
        current(&self.ca).number(Some(&[number]))
    }

    /// The client, as gateways saw it with one of the fixture's keys.
    async fn observed(&self, server: &Server) {
        let fixture = server.fixture().await;
        let der = self.client.der();
        let chain = Presented::new(vec![der.to_vec().into()]).sha256();
        let seen = json!({
            "organization": server.organization, "project": fixture.project,
            "key": fixture.project_key, "chain": chain.to_string(), "anchor": self.certificate,
            "anchor_scope": "organization",
            "requests": 3, "first_seen": START, "last_seen": START,
        });
        let batch = json!({
            "gateway": "gw_saw", "number": 1, "observations": [seen],
            "chains": [{
                "organization": server.organization, "certificates": [STANDARD.encode(der)],
            }],
        });
        let key = server.gateway_key().await;
        server
            .post("/v1/countersign/observations", batch)
            .key(&key)
            .ok()
            .await;
    }
}

fn current(ca: &Minted) -> CrlTemplate {
    let start = i64::try_from(START).unwrap();
    ca.crl().current(start - 1000, Some(start + 1000))
}

fn sent(list: CrlTemplate) -> Value {
    json!({ "crl": list.pem() })
}

#[tokio::test]
async fn what_is_kept_of_a_list_is_shown_until_it_is_deleted() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let der = STANDARD.encode(scene.list(1).revoke(&scene.client).mint());
        let pem = format!("-----BEGIN X509 CRL-----\n{der}\n-----END X509 CRL-----\n");
        let made = server.post(&scene.crls(), json!({ "crl": pem }));
        let made = made.ok().await;
        assert_eq!(made["object"], "organization.certificate.crl");
        for (name, value) in [
            ("certificate_id", json!(scene.certificate)),
            ("number", json!("1")),
            ("this_update", json!(START - 1000)),
            ("next_update", json!(START + 1000)),
            ("entries", json!(1)),
            ("only_user_certificates", json!(false)),
        ] {
            assert_eq!(made[name], value, "{name}");
        }
        assert!(made["issuer"].as_str().unwrap().contains("Client CA"));
        let one = format!("{}/{}", scene.crls(), made["id"].as_str().unwrap());
        assert_eq!(server.get(&one).ok().await, made);
        assert_eq!(server.get(&scene.crls()).ok().await["data"], json!([made]));
        let summary = json!({ "lists": 1, "entries": 1, "next_update": START + 1000 });
        let certificate = server.get(&scene.one()).ok().await;
        assert_eq!(certificate["crls"], summary);

        // The same once more, in DER: nothing changes.
        let before = server.audit("certificate.updated").await.len();
        let again = server.post(&scene.crls(), json!({ "crl": der })).ok().await;
        assert_eq!(again, made);
        assert_eq!(server.audit("certificate.updated").await.len(), before);
        let next = server.post(&scene.crls(), sent(scene.list(2))).ok().await;
        assert_eq!((&next["id"], &next["entries"]), (&made["id"], &json!(0)));

        server.delete(&one).ok().await;
        server.get(&one).refused("not_found", None).await;
        assert_eq!(server.get(&scene.one()).ok().await.get("crls"), None);
        let log = server.audit("certificate.updated").await;
        for (event, word) in log.iter().zip(["crl_deleted", "crl_replaced", "crl_added"]) {
            let change = &event["certificate.updated"][word];
            assert_eq!(change["id"], made["id"], "{word}: {event}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_that_is_not_believed_changes_nothing() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let start = i64::try_from(START).unwrap();
        server.post(&scene.crls(), sent(scene.list(5))).ok().await;
        let kept = server.get(&scene.crls()).ok().await;
        let other = root("Other CA").mint();
        let delta = [2, 1, 1];
        let mut cut = scene.list(6).pem();
        cut.truncate(200);
        let short = &scene.list(6).mint()[..60];
        for (body, wrong) in [
            (sent(scene.list(4)), "has the number 4, and the kept one 5"),
            (sent(scene.list(6).number(None)), "has no number"),
            (
                sent(scene.list(6).current(start - 2000, Some(start + 5))),
                "older than the kept one",
            ),
            (
                sent(scene.list(6).current(start - 900, Some(start - 800))),
                "expired at",
            ),
            (
                sent(scene.list(6).current(start + 900, Some(start + 1800))),
                "has not come yet",
            ),
            (sent(current(&other)), "is of another issuer"),
            (
                sent(
                    scene
                        .list(6)
                        .extension(oid::DELTA_CRL_INDICATOR, true, &delta),
                ),
                "is a delta list",
            ),
            (
                sent(scene.list(6).extension(&[1, 2, 3, 4], true, &delta)),
                "critical extension that is not processed here: 1.2.3.4",
            ),
            (json!({ "crl": cut }), "cut short"),
            (json!({ "crl": STANDARD.encode(short) }), "cut short"),
            (json!({ "crl": scene.ca.pem() }), "no revocation list"),
            (json!({ "crl": "" }), "is empty"),
        ] {
            let refused = server.post(&scene.crls(), body);
            let message = refused.refused("invalid_value", Some("crl")).await;
            assert!(message.contains(wrong), "{wrong}: {message}");
        }
        server
            .post(&scene.crls(), json!({}))
            .refused("missing_required_parameter", Some("crl"))
            .await;
        assert_eq!(server.get(&scene.crls()).ok().await, kept);
    })
    .await;
}

#[tokio::test]
async fn gateways_get_lists_by_the_digests_of_their_sets() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let issuing = scene.ca.intermediate("Issuing CA").mint();
        let body = json!({
            "crl": current(&issuing).revoke(&scene.client).pem(), "issuer_certificates": issuing.pem(),
        });
        let of_issuing = server.post(&scene.crls(), body).ok().await;
        let list = scene.list(1).revoke(&scene.client).revoke(&issuing);
        server.post(&scene.crls(), sent(list)).ok().await;
        let missing = format!("{}/crl_missing", scene.one());
        let set = server.post(&missing, json!({ "crl_missing": "deny" }));
        assert_eq!(set.ok().await["crl_missing"], "deny");

        let key = server.gateway_key().await;
        let bundle = server.get("/v1/countersign/bundle?wait=0").key(&key);
        let bundle = bundle.ok().await;
        let revocation = &bundle["organizations"][0]["certificates"][0]["revocation"];
        assert_eq!(revocation["missing"], "deny");
        let lists = revocation["lists"].as_array().unwrap();
        assert_eq!(lists[0]["issuer"], of_issuing["issuer_sha256"]);
        let stranger = server.store.create_organization("Other").await.unwrap();
        let only = [stranger.organization.id];
        let limited = server.store.create_gateway_key_for("other", Some(&only));
        let limited = limited.await.unwrap().value.reveal().to_owned();
        for (list, entries) in lists.iter().zip([1, 2]) {
            let digest = list["revoked"].as_str().unwrap();
            let path = format!("{SETS}?sha256={digest}");
            let part = server.get(&path).key(&key).ok().await;
            assert_eq!(part.get("next"), None);
            let records = STANDARD.decode(part["records"].as_str().unwrap()).unwrap();
            let set = RevokedSet::read(records).unwrap();
            assert_eq!((set.len(), set.sha256().to_string().as_str()), (entries, digest));
            assert!(set.find(scene.client.serial()).is_some());
            let rest = server.get(&format!("{path}&from={entries}")).key(&key);
            assert_eq!(rest.ok().await["records"], "");
            server
                .get(&path)
                .key(&limited)
                .refused("not_found", None)
                .await;
        }
        assert_eq!(RECORD_BYTES, 21);
        let nobody = format!("{SETS}?sha256={}", Sha256::ZERO);
        server
            .get(&nobody)
            .key(&key)
            .refused("not_found", None)
            .await;

        // With the certificate, its lists and their sets go.
        server.toggle("deactivate", None, &[&scene.certificate]).await;
        server.delete(&scene.one()).ok().await;
        for list in lists {
            let path = format!("{SETS}?sha256={}", list["revoked"].as_str().unwrap());
            server
                .get(&path)
                .key(&key)
                .refused("not_found", None)
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_preview_names_who_would_be_refused_and_changes_nothing() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        scene.observed(server).await;
        let add = |list: CrlTemplate| {
            json!({
                "type": "add_certificate_crl", "certificate_id": scene.certificate, "crl": list.pem(),
            })
        };
        let missing = |missing: Value| {
            json!({
                "type": "set_certificate_crl_missing", "certificate_id": scene.certificate,
                "crl_missing": missing,
            })
        };
        for (changes, refused) in [
            (vec![add(scene.list(1).revoke(&scene.client))], 1),
            (vec![add(scene.list(1).revoke(&scene.ca))], 0),
            (vec![missing(json!("deny"))], 1),
            (vec![missing(json!("deny")), add(scene.list(1))], 0),
            (vec![missing(json!("allow"))], 0),
        ] {
            let body = json!({ "changes": changes });
            let preview = server.post(&format!("{CHANGES}/preview"), body).ok().await;
            let fails = preview["starts_to_fail"].as_array().unwrap();
            assert_eq!(fails.len(), refused, "{preview}");
        }
        let wrong = json!({ "changes": [missing(json!("deny")), add(current(&root("X").mint()))] });
        server
            .post(&format!("{CHANGES}/preview"), wrong)
            .refused("invalid_value", Some("changes[1].crl"))
            .await;
        assert_eq!(server.get(&scene.crls()).ok().await["data"], json!([]));
        assert_eq!(server.get(&scene.one()).ok().await.get("crl_missing"), None);
        // A list has an operation of its own; what takes it back is made together with others.
        let alone = json!({ "changes": [add(scene.list(1))] });
        server
            .post(CHANGES, alone)
            .refused("invalid_value", Some("changes[0].type"))
            .await;
        let revoking = sent(scene.list(1).revoke(&scene.client));
        let made = server.post(&scene.crls(), revoking).ok().await;
        let undo = json!({ "changes": [{
            "type": "delete_certificate_crl", "certificate_id": scene.certificate, "crl_id": made["id"],
        }] });
        let preview = server
            .post(&format!("{CHANGES}/preview"), undo.clone())
            .ok()
            .await;
        assert_eq!(preview["starts_to_pass"].as_array().unwrap().len(), 1, "{preview}");
        server.post(CHANGES, undo).ok().await;
        assert_eq!(server.get(&scene.crls()).ok().await["data"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn assertions_are_judged_by_lists() {
    on_each_store(async |server| {
        let scene = Scene::new(server).await;
        let body = json!({
            "name": "billing passes", "project_id": server.project("Payments").await,
            "expect": "permit", "chain": [STANDARD.encode(scene.client.der())],
        });
        server.post("/v1/organization/assertions", body).ok().await;
        let revoking = || sent(scene.list(1).revoke(&scene.client));
        let missing = format!("{}/crl_missing", scene.one());
        let deny = json!({ "crl_missing": "deny" });
        for (path, body) in [(scene.crls(), revoking()), (missing, deny)] {
            let refused = server.post(&path, body);
            let message = refused.refused("assertion_failed", None).await;
            assert!(message.contains("`billing passes`"), "{message}");
        }
        let allowed = format!("{}?allow_broken_assertions=true", scene.crls());
        let made = server.post(&allowed, revoking()).ok().await;
        let run = "/v1/organization/assertions/run";
        let results = server.request("POST", run).ok().await;
        let why = results["results"][0]["why"].as_str().unwrap();
        assert!(why.contains("revoked at"), "{why}");
        let one = format!("{}/{}", scene.crls(), made["id"].as_str().unwrap());
        server.delete(&one).ok().await;
        assert_eq!(server.request("POST", run).ok().await["holds"], true);
    })
    .await;
}
