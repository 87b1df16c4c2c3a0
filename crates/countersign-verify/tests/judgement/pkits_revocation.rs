//! NIST PKITS, section 4.4, "Basic Certificate Revocation Tests": each chain is judged with the lists that its
//! case has, and denied where a current one is missing, as RFC 5280 section 6.3 has it. What we decide otherwise
//! is in `conformance-exceptions.toml`.

use std::collections::BTreeMap;

use countersign_types::{
    bundle::{BundleRevocation, BundleRevocationList, CrlMissing},
    digest::Sha256,
};
use countersign_verify::{
    certificate::Anchor,
    crl::{RevocationList, read},
    judge::Verdict,
    presented::Presented,
};
use data_encoding::BASE64;
use serde::Deserialize;

use crate::scene::{NOW, of_pems, words};

#[derive(Deserialize)]
struct Suite {
    anchor: String,
    cases: Vec<Case>,
}

/// A chain, leaf first, and lists, all of them DER in base64.
#[derive(Deserialize)]
struct Case {
    id: String,
    expected: Decision,
    chain: Vec<String>,
    crls: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Decision {
    Accept,
    Reject,
}

#[derive(Deserialize)]
struct Exceptions {
    revocation: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    ours: Decision,
    cases: Vec<String>,
}

fn pem(base64: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

/// The lists that are believed, one for each issuer as the store keeps them: none that is older than another.
fn believed(case: &Case, anchor: &Anchor) -> Vec<BundleRevocationList> {
    let issuers: String = case.chain.iter().skip(1).map(|ca| pem(ca)).collect();
    let mut kept: BTreeMap<Sha256, RevocationList> = BTreeMap::new();
    for crl in &case.crls {
        let Ok(list) = read(crl.as_bytes(), anchor, Some(&issuers), NOW) else {
            continue;
        };
        let issuer = list.issuer().sha256();
        let follows = kept
            .get(&issuer)
            .is_none_or(|kept| list.check_follows(&kept.kept()).is_ok());
        if follows {
            kept.insert(issuer, list);
        }
    }
    kept.into_values()
        .map(RevocationList::into_bundle)
        .collect()
}

#[test]
fn every_case_comes_out_as_expected_or_as_excepted() {
    let suite: Suite = serde_json::from_str(include_str!("pkits-crl.json")).unwrap();
    let exceptions: Exceptions =
        toml::from_str(include_str!("../conformance-exceptions.toml")).unwrap();
    let excepted = |id: &String| {
        let mut groups = exceptions.revocation.iter();
        groups
            .find(|group| group.cases.contains(id))
            .map(|group| group.ours)
    };
    let anchor_pem = pem(&suite.anchor);
    let anchor = Anchor::from_pem(&anchor_pem).unwrap();
    let mut wrong = Vec::new();
    for case in &suite.cases {
        let revocation = BundleRevocation {
            missing: CrlMissing::Deny,
            lists: believed(case, &anchor),
        };
        let trust = of_pems(std::slice::from_ref(&anchor_pem)).revocation(1, revocation);
        let ders = case
            .chain
            .iter()
            .map(|der| BASE64.decode(der.as_bytes()).unwrap().into());
        let verdict = trust.judge(&Presented::new(ders.collect()));
        let decision = match verdict {
            Verdict::Permit(_) => Decision::Accept,
            _ => Decision::Reject,
        };
        let exception = excepted(&case.id);
        if decision != exception.unwrap_or(case.expected) || exception == Some(case.expected) {
            wrong.push(format!("{}: {}", case.id, words(&verdict)));
        }
    }
    assert_eq!(suite.cases.len(), 21);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
