//! What the `openssl` command makes (`made/make.sh`), in the forms of step-ca and Vault too.

use countersign_verify::{
    certificate::Anchor,
    crl::{RevocationList, read},
};

use crate::NOW;

const ROOT: &str = include_str!("made/root.pem");
const ISSUING: &str = include_str!("made/issuing.pem");

fn serial(pem: &str) -> Vec<u8> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&block.contents).unwrap();
    parsed.tbs_certificate.raw_serial().to_vec()
}

fn named(list: &RevocationList, pem: &str) -> Option<&'static str> {
    let found = list.revoked().find(&serial(pem))?;
    Some(found.reason_name().unwrap_or("no reason"))
}

macro_rules! made {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("made/", $name, ".crl.pem")).as_bytes(),
        )
    };
}

#[test]
fn lists_that_openssl_makes_are_read() {
    let anchor = Anchor::from_pem(ROOT).unwrap();
    let revoked = include_str!("made/root-revoked.pem");
    let good = include_str!("made/root-good.pem");
    let der: (&str, &[u8]) = ("der", include_bytes!("made/root.crl.der"));
    for (name, sent) in [
        made!("root"),
        der,
        made!("root-aki-with-names"),
        made!("root-step-ca"),
        made!("root-users"),
        made!("root-version-1"),
        made!("root-unnumbered"),
        made!("root-revokes-issuing"),
    ] {
        let list = read(sent, &anchor, None, NOW).expect(name);
        assert_eq!(named(&list, revoked), Some("keyCompromise"), "{name}");
        assert_eq!(named(&list, good), None, "{name}");
        let issuing = (name == "root-revokes-issuing").then_some("cACompromise");
        assert_eq!(named(&list, ISSUING), issuing, "{name}");
        assert_eq!(list.only_user_certificates(), name == "root-users");
        let numbered = !["root-version-1", "root-unnumbered"].contains(&name);
        assert_eq!(list.number().is_some(), numbered, "{name}");
    }
    let (_, empty) = made!("root-empty");
    assert!(
        read(empty, &anchor, None, NOW)
            .unwrap()
            .revoked()
            .is_empty()
    );
    let (_, issuing) = made!("issuing");
    let list = read(issuing, &anchor, Some(ISSUING), NOW).unwrap();
    let revoked = include_str!("made/issuing-revoked.pem");
    assert_eq!(named(&list, revoked), Some("superseded"));
}

#[test]
fn what_openssl_makes_and_is_not_supported_is_refused() {
    let anchor = Anchor::from_pem(ROOT).unwrap();
    for ((name, sent), wrong) in [
        (made!("root-delta"), "is a delta list"),
        (made!("root-reasons"), "onlySomeReasons"),
        (made!("root-indirect"), "indirectCRL"),
    ] {
        let refused = read(sent, &anchor, None, NOW).expect_err(name).to_string();
        assert!(refused.contains(wrong), "{refused}");
    }
}
