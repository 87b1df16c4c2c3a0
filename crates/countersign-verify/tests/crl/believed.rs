//! Lists that are believed, and of whose certificates they speak.

use countersign_testca::{KeyKind, Minted, Signature, crl_extension, oid, root};
use countersign_verify::{
    certificate::Anchor,
    crl::{CrlNumber, read},
};

use crate::{NOW, names, read_for};

#[test]
fn a_list_names_what_its_issuer_revoked() {
    let ca = root("Root").mint();
    let (revoked, good) = (ca.leaf("revoked").mint(), ca.leaf("good").mint());
    let list = ca.crl().revoke(&revoked).number(Some(&[7]));
    let list = read_for(&ca, &[], list).unwrap();
    assert!(names(&list, &revoked) && !names(&list, &good));
    assert_eq!(list.issuer_name(), "CN=Root");
    assert_eq!(
        list.number().map(|number| number.to_string()),
        Some("7".into())
    );
    assert_eq!(
        list.to_string(),
        "list of `CN=Root`, number 7, of 2026-11-01T00:00:00Z"
    );
}

#[test]
fn a_list_is_read_in_every_form_that_it_is_sent_in() {
    let ca = root("Root").mint();
    let anchor = Anchor::from_pem(&ca.pem()).unwrap();
    let list = ca.crl().revoke(&ca.leaf("a").mint());
    let der = list.clone().mint();
    let pem = list.pem();
    let base64 = data_encoding::BASE64.encode(&der);
    let broken_lines = base64.as_bytes().chunks(76).map(String::from_utf8_lossy);
    let broken_lines = broken_lines.collect::<Vec<_>>().join("\r\n");
    let crlf = pem.replace('\n', "\r\n");
    let surrounded = format!("Certificate Revocation List\n{pem}\n{}", ca.pem());
    for sent in [
        der.as_slice(),
        pem.as_bytes(),
        base64.as_bytes(),
        broken_lines.as_bytes(),
        crlf.as_bytes(),
        surrounded.as_bytes(),
    ] {
        let read = read(sent, &anchor, None, NOW).unwrap();
        assert_eq!(read.revoked().len(), 1);
    }
}

#[test]
fn an_intermediate_s_list_needs_a_way_to_the_anchor() {
    let ca = root("Root").mint();
    let middle = ca.intermediate("Middle").mint();
    let issuing = middle.intermediate("Issuing").mint();
    let leaf = issuing.leaf("a").mint();
    let list = || issuing.crl().revoke(&leaf);
    let believed = read_for(&ca, &[&issuing, &middle], list()).unwrap();
    assert!(names(&believed, &leaf));
    let other_order = read_for(&ca, &[&middle, &issuing], list()).unwrap();
    assert_eq!(other_order.issuer(), believed.issuer());
    let refused = read_for(&ca, &[&issuing], list()).unwrap_err().to_string();
    assert!(
        refused.contains("does not chain to this anchor"),
        "{refused}"
    );
    let refused = read_for(&ca, &[], list()).unwrap_err().to_string();
    assert!(
        refused.contains("of another issuer: `CN=Issuing`"),
        "{refused}"
    );
    let other = root("Other").mint();
    assert!(read_for(&other, &[&issuing, &middle], list()).is_err());
    let narrow = root("Narrow").path_len(1).mint();
    let middle = narrow.intermediate("Middle").mint();
    let issuing = middle.intermediate("Issuing").mint();
    let refused = read_for(&narrow, &[&middle, &issuing], issuing.crl()).unwrap_err();
    assert!(refused.to_string().contains("does not chain"), "{refused}");
    assert!(read_for(&narrow, &[&middle], middle.crl()).is_ok());
}

/// The digest of an issuer is its name and key: all that decides whose certificates a list is held to.
#[test]
fn an_issuer_is_a_name_and_a_key() {
    let [one, two] = [root("One").mint(), root("Two").mint()];
    let issuing = one.intermediate("Issuing").mint();
    let key = issuing.key();
    let crossed = two.intermediate("Issuing").with_key(key).mint();
    let of = |anchor: &Minted, ca: &Minted| read_for(anchor, &[ca], ca.crl()).unwrap().issuer();
    let digest = of(&one, &issuing);
    assert_eq!(digest, of(&two, &crossed));
    let same_name = two.intermediate("Issuing").mint();
    assert_ne!(digest, of(&two, &same_name));
    let same_key = one.intermediate("Renamed").with_key(key).mint();
    assert_ne!(digest, of(&one, &same_key));
}

#[test]
fn every_supported_signature_is_checked() {
    for (kind, signature) in [
        (KeyKind::P256, Signature::Usual),
        (KeyKind::P384, Signature::Usual),
        (KeyKind::P521, Signature::Usual),
        (KeyKind::Ed25519, Signature::Usual),
        (KeyKind::Rsa2048, Signature::Usual),
        (KeyKind::Rsa2048, Signature::PssSha384),
    ] {
        let ca = root("Root").key(kind).mint();
        let good = ca.crl().signature(signature);
        assert!(read_for(&ca, &[], good.clone()).is_ok(), "{kind:?}");
        let forged = good.signed_with(root("Root").key(kind).mint().key());
        let refused = read_for(&ca, &[], forged).unwrap_err().to_string();
        assert!(refused.contains("signature does not verify"), "{refused}");
    }
}

#[test]
fn entries_say_when_and_why() {
    let ca = root("Root").mint();
    let reason = |number: u8| crl_extension(oid::REASON_CODE, false, &[0x0a, 1, number]);
    let list = ca
        .crl()
        .entry(&[1], &[reason(1)])
        .entry(&[2], &[])
        .entry(&[0, 0x83], &[reason(6)]);
    let list = read_for(&ca, &[], list).unwrap();
    let said = |serial: &[u8]| {
        let found = list.revoked().find(serial).unwrap();
        (found.at, found.reason_name())
    };
    assert_eq!(said(&[1]), (1_793_404_800, Some("keyCompromise")));
    assert_eq!(said(&[2]), (1_793_404_800, None));
    assert_eq!(said(&[0, 0x83]), (1_793_404_800, Some("certificateHold")));
    assert!(list.revoked().find(&[0x83]).is_none());
}

#[test]
fn lists_only_go_forward() {
    let ca = root("Root").mint();
    let list = |number: Option<&[u8]>, this_update| {
        let list = ca.crl().number(number);
        read_for(&ca, &[], list.current(this_update, Some(1_900_000_000))).unwrap()
    };
    let kept = list(Some(&[5]), 1_796_000_000).kept();
    for (number, this_update, wrong) in [
        (Some(&[5][..]), 1_796_000_000, None),
        (Some(&[6]), 1_796_000_001, None),
        (
            Some(&[4]),
            1_796_000_001,
            Some("has the number 4, and the kept one 5"),
        ),
        (
            None,
            1_796_000_001,
            Some("has no number, and the kept one has 5"),
        ),
        (Some(&[6]), 1_795_999_999, Some("older than the kept one")),
    ] {
        let checked = list(number, this_update).check_follows(&kept);
        let refused = checked.err().map(|error| error.to_string());
        match wrong {
            None => assert_eq!(refused, None),
            Some(wrong) => assert!(refused.unwrap().contains(wrong), "{wrong}"),
        }
    }
    let numbered = list(Some(&[0, 0xff]), 1_796_000_000);
    assert_eq!("255".parse::<CrlNumber>().ok(), numbered.number());
}

#[test]
fn the_issuer_s_certificate_may_stand_beside_its_list() {
    let ca = root("Root").mint();
    let issuing = ca.intermediate("Issuing").mint();
    let anchor = Anchor::from_pem(&ca.pem()).unwrap();
    let together = issuing.pem() + &issuing.crl().pem();
    let list = read(together.as_bytes(), &anchor, None, NOW).unwrap();
    assert_eq!(list.issuer_name(), "CN=Issuing");
}
