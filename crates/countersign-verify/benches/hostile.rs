//! What the worst requests cost that a tenant can cause: whoever has a key, anchors, policies and a
//! CA of their own presents what takes the judge longest. Run by `cargo xtask bench verify`; prints
//! JSON. The goal is twenty times a good verdict of P-256 at most.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that goes wrong stops"
)]

mod measure;

use std::hint::black_box;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use countersign_testca::{General, Key, KeyKind, Minted, Name, oid, root};
use countersign_types::certificate::Scope;
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    trust::TrustSet,
};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::FromDer as _;

use crate::measure::{NOW, Row, Subject};

type Algorithm = &'static dyn VerificationAlgorithm;

/// The keys that may sign here, each with how a bare signature by it is checked; `c` is a point in
/// compressed form.
fn keys() -> Vec<(&'static str, Key, Algorithm)> {
    let rsa = |bits| Key::forged_rsa(bits, &[1, 0, 1]);
    let compressed = |kind| Key::generate(kind).compressed();
    vec![
        (
            "P-256",
            Key::generate(KeyKind::P256),
            &ECDSA_P256_SHA256_ASN1,
        ),
        (
            "P-384",
            Key::generate(KeyKind::P384),
            &ECDSA_P384_SHA384_ASN1,
        ),
        (
            "P-521",
            Key::generate(KeyKind::P521),
            &ECDSA_P521_SHA512_ASN1,
        ),
        (
            "P-256, c",
            compressed(KeyKind::P256),
            &ECDSA_P256_SHA256_ASN1,
        ),
        (
            "P-384, c",
            compressed(KeyKind::P384),
            &ECDSA_P384_SHA384_ASN1,
        ),
        (
            "P-521, c",
            compressed(KeyKind::P521),
            &ECDSA_P521_SHA512_ASN1,
        ),
        ("Ed25519", Key::generate(KeyKind::Ed25519), &ED25519),
        ("RSA-2048", rsa(2048), &RSA_PKCS1_2048_8192_SHA256),
        ("RSA-3072", rsa(3072), &RSA_PKCS1_2048_8192_SHA256),
        ("RSA-4096", rsa(4096), &RSA_PKCS1_2048_8192_SHA256),
        ("RSA-8192", rsa(8192), &RSA_PKCS1_2048_8192_SHA256),
    ]
}

/// What is judged.
struct Scene {
    key: &'static str,
    case: String,
    trust: TrustSet,
    presented: Presented,
    policy: bool,
}

fn present(chain: &[&Minted]) -> Presented {
    let ders = chain
        .iter()
        .map(|one| CertificateDer::from(one.der().to_vec()));
    Presented::new(ders.collect())
}

fn trust(anchors: &[&Minted], policy: Option<&str>) -> TrustSet {
    let pems: Vec<_> = anchors.iter().map(|anchor| anchor.pem()).collect();
    TrustSet::from_anchors(pems.iter().map(String::as_str), policy)
}

fn scene(
    key: &'static str,
    case: impl Into<String>,
    anchors: &[&Minted],
    chain: &[&Minted],
) -> Scene {
    Scene {
        key,
        case: case.into(),
        trust: trust(anchors, None),
        presented: present(chain),
        policy: false,
    }
}

/// Every one of `width` certificates of a level may have issued every one of the level below, and
/// all but the last signature of each path verify, or not even the first.
fn ladders(name: &'static str, key: &Key) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for (levels, width) in [(1, 32), (2, 5), (3, 3), (4, 2), (5, 2), (6, 1)] {
        for bad_at_the_top in [false, true] {
            let ca = root("Root").with_key(key).mint();
            let mut above = vec![ca.clone()];
            let mut intermediates = Vec::new();
            for level in 0..levels {
                let ca_name = format!("Level {level}");
                let issue = |_| {
                    let template = above[0].intermediate(&ca_name).with_key(key);
                    match bad_at_the_top && level == 0 {
                        true => template.break_signature().mint(),
                        false => template.mint(),
                    }
                };
                above = (0..width).map(issue).collect();
                intermediates.extend(above.iter().cloned());
            }
            let leaf = above[0].leaf("client").break_signature().mint();
            let chain: Vec<_> = [&leaf].into_iter().chain(&intermediates).collect();
            let end = if bad_at_the_top { "first" } else { "last" };
            let case = format!("hostile: {levels} levels of {width}, {end} signature bad");
            scenes.push(scene(name, case, &[&ca], &chain));
        }
    }
    scenes
}

/// Fifty anchors of one name and key identifier, so that each is tried.
fn look_alike_anchors(name: &'static str, key: &Key) -> Scene {
    let ca = root("Root").with_key(key).mint();
    let anchors: Vec<_> = (0..50).map(|_| root("Root").with_key(key).mint()).collect();
    let leaf = ca.leaf("client").break_signature().mint();
    let anchors: Vec<_> = anchors.iter().collect();
    scene(name, "hostile: 50 look-alike anchors", &anchors, &[&leaf])
}

/// Intermediates that all may have issued one another, with as much to compare as fits.
fn mazes() -> Vec<Scene> {
    let ca = root("Root").mint();
    let everywhere = [7];
    let long = "x".repeat(450);
    let long_key = vec![7; 450];
    let mut scenes = Vec::new();
    let mut maze = |case: &str, count: usize, name: &str, key: &[u8]| {
        let maze: Vec<_> = (0..count)
            .map(|_| root(name).ski(key).aki(key).mint())
            .collect();
        let leaf = maze[0].leaf("client").aki(key).mint();
        let chain: Vec<_> = [&leaf].into_iter().chain(&maze).collect();
        scenes.push(scene("P-256", format!("hostile: {case}"), &[&ca], &chain));
    };
    maze("a maze of 12", 12, "Maze", &everywhere);
    maze("a maze of 40", 40, "Maze", &everywhere);
    maze("a maze of 40, long names", 40, &long, &everywhere);
    maze("a maze of 40, long key identifiers", 40, "Maze", &long_key);
    scenes
}

/// Names that have to be shown, or compared by their texts, to say what is wrong.
fn explained() -> Vec<Scene> {
    let ca = root("Root").ski(&[7]).mint();
    let long = |number: usize| {
        let name = Name::common(&format!("{number}"));
        (0..30).fold(name, |name, _| name.and(oid::ORGANIZATION, "x"))
    };
    let issued = |number: usize| {
        let template = ca.intermediate("x").subject(long(number));
        template.issuer_name(long(number + 100)).ski(&[7]).aki(&[7])
    };
    let namesakes: Vec<_> = (0..40).map(|number| issued(number).mint()).collect();
    let expired: Vec<_> = (0..40)
        .map(|number| issued(number).valid(0, 1).mint())
        .collect();
    let anchors: Vec<_> = (0..50)
        .map(|number| root("x").subject(long(number)).ski(&[7]).mint())
        .collect();
    let anchors: Vec<_> = anchors.iter().collect();
    let leaf = ca
        .leaf("x")
        .subject(long(300))
        .issuer_name(long(301))
        .mint();
    let mut scenes = Vec::new();
    for (case, above) in [("other names", &namesakes), ("expired", &expired)] {
        let chain: Vec<_> = [&leaf].into_iter().chain(above).collect();
        let case = format!("hostile: 40 intermediates and 50 anchors of one key, {case}");
        scenes.push(scene("P-256", case, &anchors, &chain));
    }
    // Much to explain, after as many signatures as are checked.
    let key = Key::generate(KeyKind::P256);
    let issuing = || {
        let template = ca.intermediate("Issuing").with_key(&key);
        template.break_signature().mint()
    };
    let bad: Vec<_> = (0..20).map(|_| issuing()).collect();
    let leaf = bad[0].leaf("x").subject(long(300)).mint();
    let chain = [&leaf].into_iter().chain(&expired[..20]).chain(&bad);
    let anchors: Vec<_> = [&ca]
        .into_iter()
        .chain(anchors.into_iter().skip(1))
        .collect();
    scenes.push(scene(
        "P-256",
        "hostile: signatures, expired intermediates and 50 anchors",
        &anchors,
        &chain.collect::<Vec<_>>(),
    ));
    scenes
}

/// Many names under many constraints.
fn constrained() -> Vec<Scene> {
    let name = |number: usize, length: usize| {
        let label = "a".repeat(40);
        let labels: Vec<_> = (0..length / 41).map(|_| label.as_str()).collect();
        format!("n{number}.{}.example", labels.join("."))
    };
    let mut scenes = Vec::new();
    for (names, bases, length) in [(100, 20, 0), (3_000, 600, 0), (40, 30, 200), (30, 300, 0)] {
        let short = |number: usize| format!("n{number}.example");
        let of = |number: usize| match length {
            0 => short(number),
            length => name(number, length),
        };
        let mut template = root("Root");
        for number in 0..bases {
            template = template.exclude(General::dns(&of(number + 100_000)));
        }
        let ca = template.mint();
        let issue = |issuer: &Minted| {
            let named = (0..names).fold(issuer.leaf("client"), |leaf, number| {
                leaf.san(General::dns(&of(number)))
            });
            named.mint()
        };
        let case = format!("hostile: {names} names, {bases} constraints, {length} long");
        scenes.push(scene("P-256", case.clone(), &[&ca], &[&issue(&ca)]));
        let issuing = ca.intermediate("Issuing").mint();
        let chain = [&issue(&issuing), &issuing];
        scenes.push(scene("P-256", format!("{case}, chain"), &[&ca], &chain));
    }
    scenes
}

/// Certificates that are large or many, so that reading them is the work.
fn large() -> Vec<Scene> {
    let ca = root("Root").mint();
    let attributes = |count: usize| {
        (0..count).fold(Name::common("x"), |name, _| name.and(oid::ORGANIZATION, ""))
    };
    let mut scenes = Vec::new();
    let leaf = ca.leaf("x").subject(attributes(4_000)).mint();
    scenes.push(scene("P-256", "hostile: a large subject", &[&ca], &[&leaf]));
    let policy = |case: &str, leaf: &Minted| Scene {
        key: "P-256",
        case: format!("hostile: {case}, policy"),
        trust: trust(&[&ca], Some("subject.organization == \"x\"")),
        presented: present(&[leaf]),
        policy: true,
    };
    scenes.push(policy("a large subject", &leaf));
    let named = (0..9_000).fold(ca.leaf("x"), |leaf, _| leaf.san(General::dns("abc")));
    scenes.push(policy("9,000 names", &named.mint()));
    let crowded: Vec<_> = (0..40)
        .map(|_| {
            let subject = attributes(60);
            (0..22_u64)
                .fold(ca.intermediate("x").subject(subject), |ca, number| {
                    ca.extension(&[1, 2, number], false, &[])
                })
                .valid(0, 1)
                .mint()
        })
        .collect();
    let leaf = crowded[0].leaf("client").mint();
    let chain: Vec<_> = [&leaf].into_iter().chain(&crowded).collect();
    let others: Vec<_> = (0..50).map(|at| root(&format!("{at}")).mint()).collect();
    let others: Vec<_> = others.iter().collect();
    scenes.push(scene(
        "P-256",
        "hostile: 40 expired intermediates, 50 anchors",
        &others,
        &chain,
    ));
    scenes
}

/// Policies made to take long on leaves made to take long.
fn policies() -> Vec<Scene> {
    let ca = root("Root").mint();
    let crowded = (0..100).fold(ca.leaf(&"a".repeat(2_000)), |leaf, number| {
        leaf.san(General::uri(&format!("{number:02}{}", "a".repeat(78))))
    });
    let leaf = crowded.mint();
    let policies = [
        "subject_alt_names.all(a, !subject_alt_names.exists(b, a.value < b.value + \"b\" && a.value == b.value + \"b\"))",
        "subject_alt_names.exists(a, a.value.matches(\"(a*)*b\"))",
        "subject_alt_names.exists(a, a.value.matches(\"^[0-9]+(a|aa|aaa)*b$\"))",
        "subject_alt_names.exists(a, a.value.matches(\"([a-z]|[0-9])+[0-9]\"))",
        "subject.common_name.matches(\"(a|aa|aaa|aaaa)*b\")",
        "subject.common_name.matches(\"a{50}b\")",
        "subject_alt_names.exists(a, subject.common_name.contains(a.value))",
        "subject_alt_names.all(a, subject_alt_names.exists(b, b.value.contains(a.value + \"c\") || b == a || true))",
        "subject_alt_names.filter(a, a.value != \"\").filter(b, b.value in [\"x\", \"y\", b.value]).size() == 0",
        "subject_alt_names.all(a, a.value.size() > 0 && a.value.endsWith(\"a\"))",
    ];
    let judged = |policy: &&str| Scene {
        key: "P-256",
        case: format!("hostile: policy {policy}"),
        trust: trust(&[&ca], Some(policy)),
        presented: present(&[&leaf]),
        policy: true,
    };
    policies.iter().map(judged).collect()
}

fn verdict(scene: &Scene) -> Verdict {
    let (trust, presented) = (black_box(&scene.trust), black_box(&scene.presented));
    judge(trust, &Scope::Organization, presented, NOW)
}

fn subject(scene: Scene) -> Subject {
    let signatures = match verdict(&scene) {
        Verdict::Permit(permit) => permit.signature_checks(),
        _ => 0,
    };
    let row = Row {
        key: scene.key,
        case: scene.case.clone(),
        anchors: 1,
        policy: scene.policy,
        microseconds: 0.0,
        signatures,
    };
    Subject::new(row, move || {
        // A refusal is explained in the log each time.
        if let Verdict::Refusal(refusal) = black_box(verdict(&scene)) {
            let explained = refusal.trace().iter().map(ToString::to_string);
            black_box(explained.collect::<String>());
        }
    })
}

/// One signature that does not verify: what the budget's prices were measured by.
fn bare(name: &'static str, key: &Key, algorithm: Algorithm) -> Subject {
    let leaf = root("Root").with_key(key).mint();
    let leaf = leaf.leaf("client").break_signature().mint();
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf.der()).unwrap();
    let signed = parsed.tbs_certificate.as_ref().to_vec();
    let signature = parsed.signature_value.data.to_vec();
    let (_, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(key.spki()).unwrap();
    let public = info.subject_public_key.data.to_vec();
    let row = Row {
        key: name,
        case: "signature check".to_owned(),
        anchors: 0,
        policy: false,
        microseconds: 0.0,
        signatures: 1,
    };
    Subject::new(row, move || {
        let public = UnparsedPublicKey::new(algorithm, black_box(&public));
        public.verify(black_box(&signed), &signature).unwrap_err();
    })
}

fn main() {
    let good = root("Root").mint();
    let leaf = good.leaf("client").mint();
    let mut scenes = vec![scene("P-256", "a good verdict", &[&good], &[&leaf])];
    let mut subjects = Vec::new();
    for (name, key, algorithm) in keys() {
        subjects.push(bare(name, &key, algorithm));
        scenes.extend(ladders(name, &key));
        scenes.push(look_alike_anchors(name, &key));
    }
    scenes.extend(mazes());
    scenes.extend(explained());
    scenes.extend(constrained());
    scenes.extend(large());
    scenes.extend(policies());
    subjects.extend(scenes.into_iter().map(subject));
    measure::run(subjects, 7, 10_000.0);
}
