use countersign_types::{
    compact_jws::SigningKey as PrivateKey,
    digest::Sha256,
    history::RevisionToken,
    id::{
        ApiKeyId, CertificateId, GatewayId, OrganizationId, ProjectId, RequestId, ServiceAccountId,
        TokenId,
    },
    receipt::{RECEIPT_TYPE, receipt_key},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use super::*;
use crate::audit_chain::{GENESIS, event_sha256};
use countersign_types::receipt::ReceiptClaims;

/// The log of an organization: each event a change of its own, a second after the one before, whose revision
/// is ten times its number.
struct Log(Vec<Map<String, Value>>);

const FIRST: u64 = 1_000;

fn token(number: u64) -> RevisionToken {
    RevisionToken::from_random(number.into())
}

impl Log {
    fn add(&mut self, kind: &str, project: Option<&str>, details: Value) -> u64 {
        let number = u64::try_from(self.0.len()).unwrap() + 1;
        let previous = self
            .0
            .last()
            .map_or(json!(GENESIS), |last| last["chain"]["sha256"].clone());
        let mut event = json!({
            "id": format!("audit_log-{number}"),
            "type": kind,
            "effective_at": FIRST + number,
            "chain": { "number": number, "previous_sha256": previous },
            "commit": { "token": token(number), "after": 10 * (number - 1) },
            kind: details,
        });
        if let Some(project) = project {
            event["project"] = json!({ "id": project });
        }
        let Value::Object(mut event) = event else {
            unreachable!()
        };
        let sha256 = event_sha256(&event);
        event["chain"]["sha256"] = json!(sha256);
        self.0.push(event);
        number
    }

    fn toggle(&mut self, kind: &str, project: Option<&str>, certificate: &str) -> u64 {
        let details = json!({ "certificates": [{ "id": certificate }] });
        self.add(kind, project, details)
    }

    fn update(&mut self, changes: Value) -> u64 {
        let details = json!({ "id": "org-a", "changes_requested": changes });
        self.add("organization.updated", None, details)
    }

    /// An organization with two projects, a key in the first, an anchor there, and a gateway: nine events.
    fn new() -> Self {
        let mut log = Self(Vec::new());
        log.add("api_key.created", None, json!({ "id": "key_admin" }));
        for project in ["proj_a", "proj_b"] {
            log.add("project.created", Some(project), json!({ "id": project }));
        }
        log.add("api_key.created", Some("proj_a"), json!({ "id": "key_a" }));
        log.add(
            "service_account.created",
            Some("proj_a"),
            json!({ "id": "svc_acct_a" }),
        );
        log.add("certificate.created", None, json!({ "id": "cert_a" }));
        log.toggle("certificates.activated", Some("proj_a"), "cert_a");
        let (_, public_key, id) = receipt_key(&[1; 32]).unwrap();
        log.update(json!({ "receipt_key_registered": {
            "id": id, "public_key": public_key, "gateway_id": "gw_a",
        } }));
        log.add(
            "certificate.updated",
            None,
            json!({ "id": "cert_a", "name": "a" }),
        );
        log
    }

    fn export(&self) -> AuditExport {
        AuditExport::read(self.0.iter().rev(), Vec::new())
    }

    /// A receipt of a request that passed when this event was the last that the gateway had seen.
    fn receipt(&self, number: u64) -> ReceiptClaims {
        let event = &self.0[usize::try_from(number).unwrap() - 1];
        ReceiptClaims {
            gateway: GatewayId::opaque("gw_a"),
            time: FIRST + number + 1,
            request_id: RequestId::opaque("req_a"),
            organization: OrganizationId::opaque("org-a"),
            project: ProjectId::opaque("proj_a"),
            key: Some(ApiKeyId::opaque("key_a")),
            token: None,
            service_account: None,
            leaf_sha256: Some(Sha256::of("leaf")),
            anchor: Some(CertificateId::opaque("cert_a")),
            code: "permit".to_owned(),
            revision: 10 * number,
            revision_token: token(number),
            bundle_sha256: Some(Sha256::of("bundle")),
            audit_number: number,
            audit_sha256: event["chain"]["sha256"].as_str().unwrap().parse().unwrap(),
        }
    }
}

fn key() -> PrivateKey {
    receipt_key(&[1; 32]).unwrap().0
}

fn signed(claims: &ReceiptClaims) -> String {
    key().sign(RECEIPT_TYPE, claims).unwrap()
}

/// What does not hold, and how.
fn wrong(report: &ReceiptReport) -> Vec<(Check, FindingResult)> {
    let findings = report.findings.iter();
    let wrong = findings
        .filter(|each| matches!(each.result, FindingResult::Fails | FindingResult::Unproven));
    let wrong: Vec<_> = wrong.map(|each| (each.check, each.result)).collect();
    assert_eq!(report.verified, wrong.is_empty(), "{report:?}");
    wrong
}

#[track_caller]
fn check(log: &Log, claims: &ReceiptClaims, expected: &[(Check, FindingResult)]) {
    let report = verify(&log.export(), &signed(claims), 10);
    assert_eq!(wrong(&report), expected, "{report:#?}");
}

use Check::{
    Anchor, AuditLog, Caller, Code, Form, Head, Project, Revision, Signature, SigningKey,
    Superseded, Time,
};
use FindingResult::{Fails, Unproven};

#[test]
fn a_receipt_that_fits_is_verified() {
    let mut log = Log::new();
    for number in [8, 9] {
        check(&log, &log.receipt(number), &[]);
    }
    let refused = ReceiptClaims {
        code: "certificate_required".to_owned(),
        anchor: None,
        leaf_sha256: None,
        ..log.receipt(9)
    };
    check(&log, &refused, &[]);
    let by_token = ReceiptClaims {
        key: None,
        token: Some(TokenId::opaque("tok_a")),
        service_account: Some(ServiceAccountId::opaque("svc_acct_a")),
        ..log.receipt(9)
    };
    check(&log, &by_token, &[]);
    // With the anchor active for the organization instead.
    log.toggle("certificates.activated", None, "cert_a");
    let number = log.toggle("certificates.deactivated", Some("proj_a"), "cert_a");
    check(&log, &log.receipt(number), &[]);
    let number = log.toggle("certificates.deactivated", None, "cert_a");
    let open = ReceiptClaims {
        anchor: None,
        leaf_sha256: None,
        ..log.receipt(number)
    };
    check(&log, &open, &[]);
}

#[test]
fn what_another_key_or_nobody_signed_is_refused_before_anything_is_believed() {
    let log = Log::new();
    let (export, claims) = (log.export(), log.receipt(9));
    let found = |text: &str| wrong(&verify(&export, text, 10));
    let good = signed(&claims);
    let (other, ..) = receipt_key(&[2; 32]).unwrap();
    let forged = PrivateKey::new(key_id(), &[2; 32]).unwrap();
    assert_eq!(
        found(&other.sign(RECEIPT_TYPE, &claims).unwrap()),
        [(SigningKey, Fails)]
    );
    assert_eq!(
        found(&forged.sign(RECEIPT_TYPE, &claims).unwrap()),
        [(Signature, Fails)]
    );
    let with_head = |head: Value| {
        let rest = good.split_once('.').unwrap().1;
        format!(
            "{}.{rest}",
            BASE64URL_NOPAD.encode(head.to_string().as_bytes())
        )
    };
    let (body, tail) = good.rsplit_once('.').unwrap();
    for text in [
        String::new(),
        good[..good.len() - 4].to_owned(),
        format!("{body}."),
        format!("{good}.{tail}"),
        with_head(json!({ "alg": "none", "typ": RECEIPT_TYPE, "kid": key_id() })),
        with_head(json!({ "alg": "HS256", "typ": RECEIPT_TYPE, "kid": key_id() })),
        key().sign("at+jwt", &claims).unwrap(),
        key()
            .sign(RECEIPT_TYPE, &json!({ "code": "permit" }))
            .unwrap(),
    ] {
        assert_eq!(found(&text), [(Form, Fails)], "{text}");
    }
    let renamed = with_head(json!({ "alg": "EdDSA", "typ": RECEIPT_TYPE, "kid": "rk_other" }));
    assert_eq!(found(&renamed), [(SigningKey, Fails)]);
}

fn key_id() -> String {
    receipt_key(&[1; 32]).unwrap().2.to_string()
}

/// Changes of a receipt's claims, and what does not fit then.
type Changes = Vec<(
    Box<dyn Fn(&mut ReceiptClaims)>,
    &'static [(Check, FindingResult)],
)>;

fn check_changes(changes: Changes) {
    let mut log = Log::new();
    log.add("api_key.created", Some("proj_b"), json!({ "id": "key_b" }));
    let good = log.receipt(9);
    for (change, expected) in changes {
        let mut claims = good.clone();
        change(&mut claims);
        check(&log, &claims, expected);
    }
}

#[test]
fn claims_about_the_log_that_do_not_fit_are_named() {
    check_changes(vec![
        (
            Box::new(|claims| claims.organization = OrganizationId::opaque("org-b")),
            &[(SigningKey, Fails)],
        ),
        (
            Box::new(|claims| claims.gateway = GatewayId::opaque("gw_b")),
            &[(SigningKey, Fails)],
        ),
        (
            Box::new(|claims| claims.audit_sha256 = Sha256::of("")),
            &[(Head, Fails)],
        ),
        (
            Box::new(|claims| claims.revision_token = token(8)),
            &[(Revision, Fails)],
        ),
        (
            Box::new(|claims| claims.revision = 91),
            &[(Revision, Fails)],
        ),
        (
            Box::new(|claims| claims.time = FIRST - 10),
            &[(Time, Fails)],
        ),
    ]);
}

#[test]
fn claims_about_the_request_that_do_not_fit_are_named() {
    check_changes(vec![
        (
            Box::new(|claims| claims.project = ProjectId::opaque("proj_b")),
            &[(Caller, Fails), (Anchor, Fails)],
        ),
        (
            Box::new(|claims| claims.project = ProjectId::opaque("proj_c")),
            &[(Project, Fails), (Caller, Fails), (Anchor, Fails)],
        ),
        (
            Box::new(|claims| claims.key = Some(ApiKeyId::opaque("key_b"))),
            &[(Caller, Fails)],
        ),
        (
            Box::new(|claims| claims.key = Some(ApiKeyId::opaque("key_c"))),
            &[(Caller, Fails)],
        ),
        (
            Box::new(|claims| claims.anchor = Some(CertificateId::opaque("cert_b"))),
            &[(Anchor, Fails)],
        ),
        (Box::new(|claims| claims.anchor = None), &[(Anchor, Fails)]),
        (
            Box::new(|claims| claims.leaf_sha256 = None),
            &[(Code, Fails)],
        ),
        (
            Box::new(|claims| claims.code = "certificate_required".to_owned()),
            &[(Code, Fails)],
        ),
        (
            Box::new(|claims| claims.code = "anything".to_owned()),
            &[(Code, Fails)],
        ),
    ]);
}

#[test]
fn what_was_not_enforced_or_is_gone_is_named() {
    let mut log = Log::new();
    let details = json!({ "certificates": [{ "id": "cert_a" }], "enforcement": "report" });
    let number = log.add("certificates.activated", Some("proj_a"), details);
    check(&log, &log.receipt(number), &[(Anchor, Fails)]);
    log.toggle("certificates.activated", Some("proj_a"), "cert_a");
    let number = log.toggle("certificates.deactivated", Some("proj_a"), "cert_a");
    check(&log, &log.receipt(number), &[(Anchor, Fails)]);
    log.toggle("certificates.activated", Some("proj_a"), "cert_a");
    let number = log.add("api_key.deleted", Some("proj_a"), json!({ "id": "key_a" }));
    check(&log, &log.receipt(number), &[(Caller, Fails)]);
    let number = log.add(
        "project.archived",
        Some("proj_a"),
        json!({ "id": "proj_a" }),
    );
    check(
        &log,
        &log.receipt(number),
        &[(Project, Fails), (Caller, Fails)],
    );
    let withdrawn = json!({ "id": key_id(), "gateway_id": "gw_a" });
    let number = log.update(json!({ "receipt_key_withdrawn": withdrawn }));
    check(&log, &log.receipt(number), &[(SigningKey, Fails)]);
    // Before it was registered.
    check(&log, &log.receipt(7), &[(SigningKey, Fails)]);
}

#[test]
fn a_change_just_before_that_the_gateway_had_not_seen_is_named_and_fails_after_the_lag() {
    let mut log = Log::new();
    let number = log.toggle("certificates.deactivated", Some("proj_a"), "cert_a");
    for (later, expected) in [(0, &[][..]), (10, &[]), (11, &[(Superseded, Fails)])] {
        let claims = ReceiptClaims {
            time: FIRST + number + later,
            ..log.receipt(9)
        };
        check(&log, &claims, expected);
        let report = verify(&log.export(), &signed(&claims), 10);
        let named = report
            .findings
            .iter()
            .any(|each| each.detail.contains("by event 10"));
        assert!(named, "{report:#?}");
    }
    // It is back.
    log.toggle("certificates.activated", None, "cert_a");
    let late = |log: &Log| ReceiptClaims {
        time: FIRST + 1_000,
        ..log.receipt(9)
    };
    check(&log, &late(&log), &[]);
    log.add("api_key.deleted", Some("proj_a"), json!({ "id": "key_a" }));
    let withdrawn = json!({ "id": key_id(), "gateway_id": "gw_a" });
    log.update(json!({ "receipt_key_withdrawn": withdrawn }));
    check(
        &log,
        &late(&log),
        &[(Superseded, Fails), (Superseded, Fails)],
    );
}

#[test]
fn a_log_that_was_tampered_with_or_is_a_part_proves_nothing_and_says_so() {
    let mut log = Log::new();
    log.add(
        "certificate.updated",
        None,
        json!({ "id": "cert_a", "name": "b" }),
    );
    let claims = log.receipt(9);
    let mut removed = Log(log.0.clone());
    removed.0.remove(4);
    check(&removed, &claims, &[(AuditLog, Fails)]);
    let mut edited = Log(log.0.clone());
    edited.0[6]["type"] = json!("certificates.deactivated");
    let details = edited.0[6]["certificates.activated"].clone();
    edited.0[6].insert("certificates.deactivated".to_owned(), details);
    check(&edited, &claims, &[(AuditLog, Fails), (Anchor, Fails)]);
    let none = Log(Vec::new());
    check(
        &none,
        &claims,
        &[(AuditLog, Unproven), (SigningKey, Unproven)],
    );
    let early = Log(log.0[..8].to_vec());
    check(&early, &claims, &[(Head, Unproven)]);
    let tail = Log(log.0[7..].to_vec());
    check(
        &tail,
        &claims,
        &[(Project, Unproven), (Caller, Unproven), (Anchor, Unproven)],
    );
    let later = Log(log.0[9..].to_vec());
    check(&later, &claims, &[(SigningKey, Unproven)]);
    let open = ReceiptClaims {
        anchor: None,
        leaf_sha256: None,
        ..claims.clone()
    };
    check(
        &tail,
        &open,
        &[(Project, Unproven), (Caller, Unproven), (Anchor, Unproven)],
    );
    // A whole other log, in which the same key is registered.
    let mut other = Log::new();
    other.0.truncate(8);
    other.add(
        "certificate.updated",
        None,
        json!({ "id": "cert_a", "name": "c" }),
    );
    check(&other, &claims, &[(Head, Fails)]);
}

proptest::proptest! {
    #[test]
    fn no_altered_receipt_is_believed(at in 0_usize..1_000, bit in 0_u8..7) {
        let log = Log::new();
        let mut text = signed(&log.receipt(9)).into_bytes();
        let at = at % text.len();
        text[at] ^= 1 << bit;
        let text = String::from_utf8_lossy(&text).into_owned();
        proptest::prop_assert!(!verify(&log.export(), &text, 10).verified);
    }
}
