//! The client chains of public suites (C2SP/x509-limbo, Netflix/bettertls, NIST PKITS) at every door: none
//! says otherwise than the judge. What the judge should say is for its own crate to test.
//!
//! The cases are read from `COUNTERSIGN_CONFORMANCE_DIR`, or from `shared/conformance` beside the
//! repository. Where neither is there the test says that it was skipped.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use countersign_types::{
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleKey, BundleProject, OrganizationBundle},
    certificate::Scope,
    digest::KeyDigest,
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
};
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    trust::TrustSet,
};
use data_encoding::BASE64;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Peer, Request as Asked},
    check_response::HttpResponse,
};
use flate2::bufread::GzDecoder;
use http::{Request, header::AUTHORIZATION};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    auth_request, deciding::Deciding, door::Door, envoy_grpc::Check, envoy_http, forward_auth,
    http_answer::Answer,
};
use crate::{
    accepting::tls::ChainLimits,
    access_log::record::Record,
    admission::admit,
    caller::{credential::Credential, snapshot::Snapshot},
    connection::{Arrival, Connection},
    options::{CertificateForm, DecisionProtocol, Limits},
    shared::Shared,
};

/// The time for cases that leave it open: 2026-11-23, which all of them hold for valid.
const UNSTATED_TIME: u64 = 1_795_392_000;

const KEY: &str = "sk-of-the-project";

/// A case, as a line of the suites.
#[derive(Deserialize)]
struct Case {
    id: String,
    anchors_pem: Vec<String>,
    chain_pem: Vec<String>,
    time: Option<String>,
}

/// The doors that speak HTTP, and how each gets the chain.
const HTTP_DOORS: [(DecisionProtocol, CertificateForm, Answer); 5] = [
    (
        DecisionProtocol::EnvoyHttp,
        CertificateForm::XfccJson,
        envoy_http::answer,
    ),
    (
        DecisionProtocol::AuthRequest,
        CertificateForm::Alb,
        auth_request::answer,
    ),
    (
        DecisionProtocol::AuthRequest,
        CertificateForm::NginxEscapedPem,
        auth_request::answer,
    ),
    (
        DecisionProtocol::ForwardAuth,
        CertificateForm::Traefik,
        forward_auth::answer,
    ),
    (
        DecisionProtocol::ForwardAuth,
        CertificateForm::Rfc9440,
        forward_auth::answer,
    ),
];

#[test]
fn no_door_disagrees_on_any_case_of_the_suites() {
    let Some(directory) = directory() else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no conformance cases; set COUNTERSIGN_CONFORMANCE_DIR to have them run"
        );
        return;
    };
    let (mut ran, mut too_large) = (0, 0);
    for file in ["limbo-client.jsonl.gz", "pkits-client.jsonl.gz"] {
        for case in cases(&directory.join(file)) {
            match agrees(&case) {
                true => ran += 1,
                false => too_large += 1,
            }
        }
    }
    assert!(ran > 1_000 && too_large < 40, "{ran} {too_large}");
}

fn directory() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let stated = std::env::var_os("COUNTERSIGN_CONFORMANCE_DIR").map(PathBuf::from);
    stated.or_else(|| beside.is_dir().then_some(beside))
}

fn cases(file: &Path) -> impl Iterator<Item = Case> {
    let packed = BufReader::new(File::open(file).unwrap());
    let lines = BufReader::new(GzDecoder::new(packed)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn project() -> ProjectId {
    ProjectId::from_random(1)
}

fn bundle(case: &Case) -> OrganizationBundle {
    let certificates = case.anchors_pem.iter().zip(1..);
    let certificates = certificates.map(|(pem, number)| BundleCertificate {
        id: CertificateId::from_random(number),
        pem: pem.clone(),
        cel_policy: None,
        reported_policy: None,
        revocation: None,
        floor: None,
        reported_floor: None,
    });
    let certificates: Vec<_> = certificates.collect();
    OrganizationBundle {
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: Vec::new(),
        id: OrganizationId::from_random(1),
        revision: 1,
        digest: None,
        active: certificates.iter().map(|each| each.id.clone()).collect(),
        certificates,
        with_reported: Vec::new(),
        projects: vec![BundleProject {
            id: project(),
            archived: false,
            active: Vec::new(),
            with_reported: Vec::new(),
        }],
        keys: vec![BundleKey {
            id: ApiKeyId::from_random(1),
            kind: KeyKind::Project,
            sha256: KeyDigest::of(KEY),
            project: Some(project()),
            expires_at: None,
        }],
    }
}

/// Asks every door about a case; `false` if its chain is larger than any door reads.
fn agrees(case: &Case) -> bool {
    let pem = case.chain_pem.concat();
    let presented = Presented::from_pem(&pem).unwrap();
    let leaf = presented.leaf().unwrap();
    let limits = ChainLimits::new(&Limits::default());
    if !limits.allow(leaf, presented.intermediates()) {
        return false;
    }
    let parse = |time: &str| {
        OffsetDateTime::parse(time, &Rfc3339)
            .unwrap()
            .unix_timestamp()
    };
    let now = case.time.as_deref().map(parse);
    let now = now.map_or(UNSTATED_TIME, |now| now.try_into().unwrap());
    let bundle = bundle(case);
    let expected = |presented: &Presented| {
        let scope = Scope::Project(project());
        match judge(&TrustSet::compile(&bundle), &scope, presented, now) {
            Verdict::Refusal(refusal) => refusal.code().as_str().to_owned(),
            Verdict::Permit(_) | Verdict::NoAnchorApplies(_) => String::new(),
        }
    };
    let snapshot = Snapshot::default().after(1, true, vec![bundle.clone()], &[]);
    let shared = Shared::at(snapshot, now);
    let whole = expected(&presented);
    let alone = expected(&Presented::new(vec![leaf.clone()]));
    assert_eq!(own_door(&shared, &presented), whole, "{}: own", case.id);
    let xfcc = [(
        "x-forwarded-client-cert",
        format!("Chain=\"{}\"", escaped(&pem)),
    )];
    let form = CertificateForm::XfccText;
    assert_eq!(grpc(&shared, form, &xfcc, ""), whole, "{}: gRPC", case.id);
    let form = CertificateForm::EnvoyAttributes;
    let leaf_pem = escaped(&armoured(leaf));
    assert_eq!(
        grpc(&shared, form, &[], &leaf_pem),
        alone,
        "{}: gRPC",
        case.id
    );
    for (protocol, form, answer) in HTTP_DOORS {
        let headers = headers(form, &presented);
        let is_alone = form == CertificateForm::NginxEscapedPem;
        let expected = if is_alone { &alone } else { &whole };
        let code = http(&shared, (protocol, form, answer), &headers);
        assert_eq!(code, *expected, "{}: {protocol:?} {form:?}", case.id);
    }
    true
}

/// The code at the gateway's own listener; empty if the request passes.
fn own_door(shared: &Arc<Shared>, presented: &Presented) -> String {
    let connection = Connection::new(presented.clone(), ([127, 0, 0, 1], 1).into(), None);
    let credential = Credential::KeyDigest(KeyDigest::of(KEY));
    let arrival = Arrival {
        observer: None,
        shares: &shared.shares,
        thread: 0,
        takes_place: true,
        clock: &Instant::now,
    };
    let mut record = Record::of_connection(&connection);
    let admitted = admit(
        shared,
        &connection,
        &credential,
        &mut record,
        Some(&arrival),
    );
    admitted.map_or_else(
        |refusal| refusal.code.as_str().to_owned(),
        |_| String::new(),
    )
}

fn deciding(shared: &Arc<Shared>, protocol: DecisionProtocol, form: CertificateForm) -> Deciding {
    Deciding::new(0, Arc::clone(shared), Arc::new(Door::of(protocol, form)))
}

fn grpc(
    shared: &Arc<Shared>,
    form: CertificateForm,
    headers: &[(&str, String)],
    certificate: &str,
) -> String {
    let deciding = deciding(shared, DecisionProtocol::EnvoyGrpc, form);
    let check = Check::new(&Arc::new(deciding), &"test".into());
    let key = ("authorization", format!("Bearer {KEY}"));
    let headers = headers.iter().chain([&key]);
    let http = HttpRequest {
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..HttpRequest::default()
    };
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                certificate: certificate.to_owned(),
                ..Peer::default()
            }),
            request: Some(Asked {
                http: Some(http),
                ..Asked::default()
            }),
            ..AttributeContext::default()
        }),
    };
    let answer = check.answer(&request, None);
    match answer.http_response.unwrap() {
        HttpResponse::OkResponse(_) => String::new(),
        HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied) => {
            code(denied.body.as_bytes())
        }
    }
}

fn http(
    shared: &Arc<Shared>,
    (protocol, form, answer): (DecisionProtocol, CertificateForm, Answer),
    headers: &[(&str, String)],
) -> String {
    let deciding = deciding(shared, protocol, form);
    let mut request = Request::get("/v1/echo").header(AUTHORIZATION, format!("Bearer {KEY}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = answer(&deciding, &request.body(()).unwrap(), &"test".into());
    code(response.body())
}

/// The code of an envelope; empty where there is none.
fn code(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn armoured(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn escaped(pem: &str) -> String {
    let escaped = percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC);
    escaped.to_string()
}

/// The chain, or the leaf, as a form has it.
fn headers(form: CertificateForm, presented: &Presented) -> Vec<(&'static str, String)> {
    let leaf = presented.leaf().unwrap();
    let all = || [leaf].into_iter().chain(presented.intermediates());
    let whole = || all().map(|der| armoured(der)).collect::<String>();
    let list = |items: Vec<String>| items.join(",");
    match form {
        CertificateForm::XfccJson => {
            let chain = escaped(&whole());
            vec![(
                "x-forwarded-client-cert",
                format!("[{{\"Chain\":\"{chain}\"}}]"),
            )]
        }
        CertificateForm::Alb => vec![("x-amzn-mtls-clientcert", escaped(&whole()))],
        CertificateForm::NginxEscapedPem => vec![("ssl-client-cert", escaped(&armoured(leaf)))],
        CertificateForm::Traefik => {
            let items = all().map(|der| BASE64.encode(der)).collect();
            vec![("x-forwarded-tls-client-cert", list(items))]
        }
        CertificateForm::Rfc9440 => {
            let item = |der: &[u8]| format!(":{}:", BASE64.encode(der));
            let rest: Vec<_> = presented
                .intermediates()
                .iter()
                .map(|der| item(der))
                .collect();
            let mut headers = vec![("client-cert", item(leaf))];
            if !rest.is_empty() {
                headers.push(("client-cert-chain", list(rest)));
            }
            headers
        }
        other => panic!("{other:?}"),
    }
}
