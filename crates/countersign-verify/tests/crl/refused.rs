//! Lists that are refused, each with what is wrong and what to do.

use countersign_testca::{
    CrlTemplate, KeyKind, Minted, NEXT_UPDATE, Signature, THIS_UPDATE, Usage, der, oid, root,
};
use countersign_verify::{certificate::Anchor, crl::read};

use crate::{NOW, read_for};

const NULL: &[u8] = &[5, 0];

fn check(ca: &Minted, list: CrlTemplate, wrong: &str) {
    let refused = read_for(ca, &[], list).expect_err(wrong).to_string();
    assert!(refused.contains(wrong), "{refused}\nlacks\n{wrong}");
    assert!(refused.ends_with('.'), "{refused}");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let ca = root("Root").mint();
    let list = || ca.crl().entry(&[1], &[]);
    let point = |fields: &[u8]| {
        let value = der::element(0x30, fields);
        list().extension(oid::ISSUING_DISTRIBUTION_POINT, true, &value)
    };
    let entry = |id: &[u64], critical, value: &[u8]| {
        let extension = countersign_testca::crl_extension(id, critical, value);
        ca.crl().entry(&[1], &[extension])
    };
    let critical = "critical extension that is not processed here: 1.2.3.4";
    for (list, wrong) in [
        (
            list().extension(oid::DELTA_CRL_INDICATOR, true, &[2, 1, 1]),
            "is a delta list: deltaCRLIndicator (2.5.29.27)",
        ),
        (point(&[0x84, 1, 0xff]), "`indirectCRL`"),
        (point(&[0x83, 2, 6, 0x40]), "`onlySomeReasons`"),
        (point(&[0x82, 1, 0xff]), "`onlyContainsCACerts`"),
        (point(&[0x85, 1, 0xff]), "`onlyContainsAttributeCerts`"),
        (
            point(&[0x86, 1, 0xff]),
            "issuingDistributionPoint (2.5.29.28) is malformed",
        ),
        (list().extension(&[1, 2, 3, 4], true, NULL), critical),
        (entry(&[1, 2, 3, 4], true, NULL), critical),
        (
            entry(oid::CERTIFICATE_ISSUER, true, &[0x30, 0]),
            "is indirect (an entry names another issuer)",
        ),
        (
            entry(oid::REASON_CODE, false, &[0x0a, 1, 8]),
            "`removeFromCRL`",
        ),
        (
            entry(oid::REASON_CODE, false, &[0x0a, 1, 7]),
            "reasonCode is malformed",
        ),
    ] {
        check(&ca, list, wrong);
    }
    let rsa = root("Root").key(KeyKind::Rsa2048).mint();
    check(&rsa, rsa.crl().signature(Signature::Sha1), "too weak");
}

#[test]
fn times_and_numbers_must_make_sense() {
    let ca = root("Root").mint();
    let list = || ca.crl().entry(&[1], &[]);
    for (list, wrong) in [
        (list().current(THIS_UPDATE, None), "has no nextUpdate"),
        (
            list().current(THIS_UPDATE, Some(1_796_083_199)),
            "expired at 2026-11-30T23:59:59Z",
        ),
        (
            list().current(1_796_083_501, Some(NEXT_UPDATE)),
            "has not come yet",
        ),
        (
            list().current(THIS_UPDATE, Some(THIS_UPDATE - 1)),
            "nextUpdate is before its thisUpdate",
        ),
        (
            list().number(Some(&[0xff])),
            "cRLNumber (2.5.29.20) is malformed",
        ),
        (
            list().extension(oid::CRL_NUMBER, false, &[2, 1, 1]),
            "is there twice",
        ),
        (list().entry(&[1], &[]), "names the serial number 01 twice"),
        (
            list().entry(&[0, 1], &[]),
            "names the serial number 01 twice",
        ),
    ] {
        check(&ca, list, wrong);
    }
    let ok = list().current(1_796_083_500, Some(NEXT_UPDATE));
    assert!(read_for(&ca, &[], ok).is_ok());
}

#[test]
fn another_issuer_s_list_is_refused() {
    let ca = root("Root").mint();
    let namesake = root("Root").mint();
    let other = root("Other").mint();
    check(
        &ca,
        other.crl(),
        "is of another issuer: `CN=Other`, not `CN=Root`",
    );
    check(
        &ca,
        namesake.crl(),
        "of another CA with the anchor's name `CN=Root`",
    );
    // Without a key identifier it is the signature alone that tells them apart.
    check(
        &ca,
        namesake.crl().aki(None),
        "signature does not verify under the key of `CN=Root`",
    );
    let mute = root("Root").key_usage(&[Usage::KeyCertSign]).mint();
    check(&mute, mute.crl(), "lacks cRLSign");
    let issuing = ca.intermediate("Issuing").not_ca().mint();
    let refused = read_for(&ca, &[&issuing], issuing.crl()).unwrap_err();
    assert!(
        refused.to_string().contains("Certificate 1 that came with"),
        "{refused}"
    );
    let leaf = ca.leaf("Leaf").mint();
    assert!(read_for(&ca, &[&leaf], leaf.crl()).is_err());
    let expired = ca.intermediate("Expired").valid(0, 1_700_000_000).mint();
    assert!(read_for(&ca, &[&expired], expired.crl()).is_err());
    let many: Vec<_> = (0..7).map(|_| &issuing).collect();
    let refused = read_for(&ca, &many, issuing.crl()).unwrap_err().to_string();
    assert!(refused.contains("at most 6 are read"), "{refused}");
}

#[test]
fn what_is_no_list_is_told_so() {
    let ca = root("Root").mint();
    let anchor = Anchor::from_pem(&ca.pem()).unwrap();
    let list = ca.crl().entry(&[1], &[]);
    let (der, pem) = (list.clone().mint(), list.pem());
    let key = ca.key_pem();
    let cut = |text: &str| text.get(..text.len() / 2).unwrap().to_owned();
    let half = der.get(..der.len() / 2).unwrap();
    let indefinite = [&[0x30, 0x80], half, &[0, 0]].concat();
    let version_1_extended = ca.crl().mint();
    for (sent, wrong) in [
        (b"".to_vec(), "is empty"),
        (b"  \n ".to_vec(), "is empty"),
        (
            b"https://ca.example.com/crl".to_vec(),
            "neither PEM nor DER",
        ),
        (
            ca.pem().into_bytes(),
            "is a certificate and no revocation list",
        ),
        (key.into_bytes(), "A private key was sent"),
        (cut(&pem).into_bytes(), "is cut short: there is no line"),
        (half.to_vec(), "is cut short: it should have"),
        ([der.as_slice(), &[0]].concat(), "something follows it"),
        (
            [pem.as_str(), &pem].concat().into_bytes(),
            "more than one revocation list",
        ),
        (indefinite, "is not one DER sequence"),
        (ca.der().to_vec(), "cannot be read"),
        (
            b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n".to_vec(),
            "no PEM block `X509 CRL`",
        ),
    ] {
        let refused = read(&sent, &anchor, None, NOW)
            .expect_err(wrong)
            .to_string();
        assert!(refused.contains(wrong), "{refused}\nlacks\n{wrong}");
    }
    // A version 1 list has neither number nor key identifier.
    assert!(read(&version_1_extended, &anchor, None, NOW).is_ok());
    assert!(read_for(&ca, &[], ca.crl().version_1().entry(&[1], &[])).is_ok());
}
