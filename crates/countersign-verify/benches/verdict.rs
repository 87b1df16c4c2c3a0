//! What a verdict costs, beside the bare signature check that it cannot do without. Run by
//! `cargo xtask bench verify`; prints JSON.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that goes wrong stops"
)]

mod measure;

use std::{hint::black_box, sync::Arc};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use countersign_testca::{General, KeyKind, Minted, Template, oid, root};
use countersign_types::{
    bundle::{
        BundleDenial, BundleRevocation, BundleRevocationList, CrlMissing, OrganizationBundle,
    },
    certificate::{Enforcement, Scope},
    denial::{
        DenialMatch, IssuerAndSerial, MAX_DENIALS_PER_ORGANIZATION, SubjectAltName,
        SubjectAltNameType,
    },
    digest::Sha256,
    history::RevisionToken,
    id::{ApiKeyId, CertificateId, GatewayId, OrganizationId, ProjectId, RequestId},
    receipt::{PERMIT, RECEIPT_TYPE, ReceiptClaims, receipt_key},
    revoked_set::{MAX_REVOKED, Revocation, RevokedSet, record},
};
use countersign_verify::{
    certificate::Anchor,
    crl::read,
    judge::{Verdict, judge},
    permit::Permit,
    presented::Presented,
    trust::TrustSet,
};
use rustls_pki_types::CertificateDer;

use crate::measure::{NOW, Row, Subject};

/// The example of docs/specification.md, section 2.
const POLICY: &str = r#"subject.organizational_unit == "Production" && subject_alt_names.exists(san, san.type == DNS && san.value.endsWith(".example.com"))"#;

const KINDS: [(&str, KeyKind, &dyn VerificationAlgorithm); 3] = [
    ("P-256", KeyKind::P256, &ECDSA_P256_SHA256_ASN1),
    ("RSA-2048", KeyKind::Rsa2048, &RSA_PKCS1_2048_8192_SHA256),
    ("Ed25519", KeyKind::Ed25519, &ED25519),
];

/// The anchors around the one that issued: none, of other names, or all of its name.
#[derive(Clone, Copy)]
enum Crowd {
    Alone,
    Others,
    SameNamed,
}

impl Crowd {
    const ALL: [(Self, &'static str, usize); 3] = [
        (Self::Alone, "", 1),
        (Self::Others, ", other names", 50),
        (Self::SameNamed, ", same name", 50),
    ];

    /// PEMs of this many anchors; the one that issued is the last, where a search ends.
    fn pems(self, issuer: &Minted, name: &str, count: usize) -> Vec<String> {
        let other = |number: usize| match self {
            Self::SameNamed => root(name).mint().pem(),
            Self::Alone | Self::Others => root(&format!("Other {number}")).mint().pem(),
        };
        let mut pems: Vec<_> = (1..count).map(other).collect();
        pems.push(issuer.pem());
        pems
    }
}

fn permit(trust: &TrustSet, presented: &Presented) -> Permit {
    match judge(trust, &Scope::Organization, presented, NOW) {
        Verdict::Permit(permit) => permit,
        refused => panic!("not permitted: {refused:?}"),
    }
}

fn leaf(template: Template, kind: KeyKind) -> Minted {
    template
        .key(kind)
        .attribute(oid::ORGANIZATIONAL_UNIT, "Production")
        .san(General::dns("billing.example.com"))
        .mint()
}

/// The check of the leaf's signature and nothing else.
fn bare(
    key: &'static str,
    algorithm: &'static dyn VerificationAlgorithm,
    issuer: &Minted,
    leaf: &Minted,
) -> Subject {
    let (_, issuer) = x509_parser::parse_x509_certificate(issuer.der()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf.der()).unwrap();
    let public = issuer.public_key().subject_public_key.data.to_vec();
    let signed = parsed.tbs_certificate.as_ref().to_vec();
    let signature = parsed.signature_value.data.to_vec();
    let row = Row {
        key,
        case: "bare signature check".to_owned(),
        anchors: 0,
        policy: false,
        microseconds: 0.0,
        signatures: 1,
    };
    Subject::new(row, move || {
        let public = UnparsedPublicKey::new(algorithm, black_box(&public));
        public.verify(black_box(&signed), &signature).unwrap();
    })
}

fn verdicts(
    key: &'static str,
    path: &str,
    (issuer, name): (&Minted, &str),
    presented: &Presented,
) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for (crowd, says, anchors) in Crowd::ALL {
        let pems = crowd.pems(issuer, name, anchors);
        for policy in [None, Some(POLICY)] {
            let trust = TrustSet::from_anchors(pems.iter().map(String::as_str), policy);
            let presented = presented.clone();
            let row = Row {
                key,
                case: format!("{path}{says}"),
                anchors,
                policy: policy.is_some(),
                microseconds: 0.0,
                signatures: permit(&trust, &presented).signature_checks(),
            };
            subjects.push(Subject::new(row, move || {
                black_box(permit(black_box(&trust), black_box(&presented)));
            }));
        }
    }
    subjects.push(denied(key, path, issuer, presented));
    subjects
}

/// A list of a CA with as many entries as there may be, none of them of the leaf.
fn full_list(ca: &Minted) -> BundleRevocationList {
    let records = (0..MAX_REVOKED).map(|number| {
        let at = 1_790_000_000;
        record(&number.to_be_bytes(), Revocation { at, reason: None })
    });
    let set = RevokedSet::new(records.collect()).unwrap();
    let anchor = Anchor::from_pem(&ca.pem()).unwrap();
    let list = read(&ca.crl().mint(), &anchor, None, NOW).unwrap();
    BundleRevocationList {
        revoked: set.sha256(),
        set: Some(Arc::new(set)),
        ..list.into_bundle()
    }
}

/// The usual verdict where the leaf's issuer has revoked a million certificates.
fn with_a_full_list() -> Subject {
    let ca = root("Example Root").mint();
    let direct = leaf(ca.leaf("billing"), KeyKind::P256);
    let presented = Presented::new(vec![CertificateDer::from(direct.der().to_vec())]);
    let revocation = BundleRevocation {
        missing: CrlMissing::Deny,
        lists: vec![full_list(&ca)],
    };
    let trust = TrustSet::from_anchors_and_lists([(ca.pem().as_str(), Some(revocation))], None);
    let row = Row {
        key: "P-256",
        case: "direct, a million revoked".to_owned(),
        anchors: 1,
        policy: false,
        microseconds: 0.0,
        signatures: permit(&trust, &presented).signature_checks(),
    };
    Subject::new(row, move || {
        black_box(permit(black_box(&trust), black_box(&presented)));
    })
}

/// As many denials as an organization may have, of every kind and of nobody here.
fn denials() -> Vec<BundleDenial> {
    let matches = |number: usize| {
        let digest = Sha256::of(number.to_string());
        match number % 4 {
            0 => DenialMatch::LeafSha256(digest),
            1 => DenialMatch::SpkiSha256(digest),
            2 => DenialMatch::IssuerAndSerial(IssuerAndSerial {
                issuer: "CN=Example Root".to_owned(),
                serial_number: digest.to_string(),
            }),
            _ => DenialMatch::SubjectAltName(SubjectAltName {
                kind: SubjectAltNameType::Dns,
                value: format!("{number}.example.com"),
                oid: None,
            }),
        }
    };
    let denial = |number: usize| BundleDenial {
        id: format!("deny_{number}").parse().unwrap(),
        name: "left".to_owned(),
        matches: matches(number),
        project: None,
        enforcement: Enforcement::Enforce,
        created_by: "key_1".parse().unwrap(),
        created_at: NOW,
        expires_at: None,
    };
    (0..MAX_DENIALS_PER_ORGANIZATION).map(denial).collect()
}

/// A verdict beside all the denials that an organization may have.
fn denied(key: &'static str, path: &str, issuer: &Minted, presented: &Presented) -> Subject {
    let trust = TrustSet::from_anchors([issuer.pem().as_str()], None);
    let trust = trust.with_denials_of(&OrganizationBundle {
        id: OrganizationId::from_random(0),
        revision: 0,
        digest: None,
        active: Vec::new(),
        with_reported: Vec::new(),
        certificates: Vec::new(),
        projects: Vec::new(),
        keys: Vec::new(),
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: denials(),
    });
    let presented = presented.clone();
    let row = Row {
        key,
        case: format!("{path}, 10,000 denials"),
        anchors: 1,
        policy: false,
        microseconds: 0.0,
        signatures: permit(&trust, &presented).signature_checks(),
    };
    Subject::new(row, move || {
        black_box(permit(black_box(&trust), black_box(&presented)));
    })
}

/// What a gateway does with a million revoked serial numbers once it has them.
fn full_list_made_ready() -> Subject {
    let records = (0..MAX_REVOKED).map(|number| {
        let revocation = Revocation {
            at: 0,
            reason: None,
        };
        record(&number.to_be_bytes(), revocation)
    });
    let set = RevokedSet::new(records.collect()).unwrap();
    let row = Row {
        key: "P-256",
        case: "a million revoked, made ready".to_owned(),
        anchors: 0,
        policy: false,
        microseconds: 0.0,
        signatures: 0,
    };
    Subject::new(row, move || {
        black_box(RevokedSet::read(black_box(&set).as_bytes().to_vec()).unwrap());
    })
}

fn subjects() -> Vec<Subject> {
    let mut subjects = vec![with_a_full_list(), full_list_made_ready()];
    for (key, kind, algorithm) in KINDS {
        let name = "Example Root";
        let issuer = root(name).key(kind).mint();
        let intermediate = issuer.intermediate("Example Issuing").key(kind).mint();
        let direct = leaf(issuer.leaf("billing"), kind);
        let below = leaf(intermediate.leaf("billing"), kind);
        let chain = |minted: &[&Minted]| {
            let ders = minted
                .iter()
                .map(|one| CertificateDer::from(one.der().to_vec()));
            Presented::new(ders.collect())
        };
        let issuer = (&issuer, name);
        subjects.push(bare(key, algorithm, issuer.0, &direct));
        subjects.extend(verdicts(key, "direct", issuer, &chain(&[&direct])));
        let through = chain(&[&below, &intermediate]);
        subjects.extend(verdicts(key, "one intermediate", issuer, &through));
    }
    subjects
}

/// What a gateway signs of a verdict, with names as long as they are.
fn claims() -> ReceiptClaims {
    ReceiptClaims {
        gateway: GatewayId::from_random(1),
        time: NOW,
        request_id: RequestId::from_random(1),
        organization: OrganizationId::from_random(1),
        project: ProjectId::from_random(1),
        key: Some(ApiKeyId::from_random(1)),
        token: None,
        service_account: None,
        leaf_sha256: Some(Sha256::ZERO),
        anchor: Some(CertificateId::from_random(1)),
        code: PERMIT.to_owned(),
        revision: 1_000_000,
        revision_token: RevisionToken::from_random(1),
        bundle_sha256: Some(Sha256::ZERO),
        audit_number: 1_000_000,
        audit_sha256: Sha256::ZERO,
    }
}

/// Making a receipt.
fn receipt() -> Subject {
    let (key, ..) = receipt_key(&[1; 32]).unwrap();
    let claims = claims();
    let row = Row {
        key: "Ed25519",
        case: "a receipt".to_owned(),
        anchors: 0,
        policy: false,
        microseconds: 0.0,
        signatures: 0,
    };
    Subject::new(row, move || {
        black_box(key.sign(RECEIPT_TYPE, black_box(&claims)).unwrap());
    })
}

fn main() {
    let mut subjects = subjects();
    subjects.push(receipt());
    measure::run(subjects, 21, 30_000.0);
}
