//! Facts read out of certificates.

use countersign_testca::{General, Minted, Name, der, oid, root};

use crate::policy::{LeafFacts, Policy};

/// The tag of a SET, of which every RDN is one.
const SET: u8 = 0x31;

fn mint(subject: Name, names: &[General]) -> Minted {
    let template = root("Root").mint().leaf("leaf").subject(subject);
    names
        .iter()
        .fold(template, |template, name| template.san(name.clone()))
        .mint()
}

#[track_caller]
fn holds(policy: &str, der: &[u8]) -> bool {
    let facts = LeafFacts::from_der(der).expect("the leaf can be read");
    Policy::compile(policy).unwrap().evaluate(&facts).unwrap()
}

#[test]
fn every_attribute_and_name_is_read() {
    let subject = Name::common("cn")
        .and(oid::COUNTRY, "SE")
        .and(oid::ORGANIZATION, "Ö AB")
        .and(oid::ORGANIZATIONAL_UNIT, "ou")
        .and(oid::LOCALITY, "l")
        .and(&[2, 5, 4, 8], "st")
        .and(&[2, 5, 4, 9], "street")
        .and(&[2, 5, 4, 17], "zip");
    let names = [
        General::dns("API.Example.COM"),
        General::email("Ops@Example.com"),
        General::Ip("192.0.2.1".parse().unwrap()),
        General::Ip("2001:DB8:0:0:1:0:0:1".parse().unwrap()),
        General::uri("spiffe://Example.com/x"),
        General::Other(&[1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "user@corp".to_owned()),
    ];
    let leaf = mint(subject, &names);
    for policy in [
        "subject.common_name == \"cn\" && subject.country_code == \"SE\"",
        "subject.organization == \"Ö AB\" && subject.organizational_unit == \"ou\"",
        "subject.locality == \"l\" && subject.province == \"st\"",
        "subject.street_address == \"street\" && subject.postal_code == \"zip\"",
        "size(subject_alt_names) == 6 && subject_alt_names[0].type == DNS",
        "subject_alt_names[0].value == \"api.example.com\" && subject_alt_names[0].oid == \"\"",
        "subject_alt_names[1].type == EMAIL && subject_alt_names[1].value == \"Ops@Example.com\"",
        "subject_alt_names[2].type == IP_ADDRESS && subject_alt_names[2].value == \"192.0.2.1\"",
        "subject_alt_names[3].value == \"2001:db8::1:0:0:1\"",
        "subject_alt_names[4].type == URI && subject_alt_names[4].value == \"spiffe://Example.com/x\"",
        "subject_alt_names[5].type == CUSTOM && subject_alt_names[5].oid == \"1.3.6.1.4.1.311.20.2.3\"",
        "subject_alt_names[5].value == \"user@corp\"",
    ] {
        assert!(holds(policy, leaf.der()), "{policy}");
    }
    let bare = mint(Name::empty(), &[]);
    assert!(holds(
        "subject.common_name == \"\" && size(subject_alt_names) == 0",
        bare.der()
    ));
}

/// The leaf with another subject, given in DER; nobody checks its signature here.
fn with_subject(subject: &[u8]) -> Vec<u8> {
    let leaf = mint(Name::empty(), &[]);
    let mut outer = elements(leaf.der());
    let mut tbs = elements(&outer[0]);
    tbs[5] = subject.to_vec();
    outer[0] = der::sequence(&tbs);
    der::sequence(&outer)
}

/// The elements inside of a SEQUENCE.
fn elements(sequence: &[u8]) -> Vec<Vec<u8>> {
    use x509_parser::{asn1_rs::Any, prelude::FromDer};
    let mut rest = Any::from_der(sequence).unwrap().1.data;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (after, _) = Any::from_der(rest).unwrap();
        found.push(rest[..rest.len() - after.len()].to_vec());
        rest = after;
    }
    found
}

fn organization(tag: u8, value: &[u8]) -> Vec<u8> {
    der::sequence(&[vec![6, 3, 0x55, 4, 10], der::element(tag, value)])
}

fn one(tag: u8, value: &[u8]) -> Vec<u8> {
    with_subject(&der::sequence(&[der::element(
        SET,
        &organization(tag, value),
    )]))
}

#[test]
fn all_string_types_are_decoded_and_anything_doubtful_is_not_text() {
    let good: [(u8, &[u8]); 6] = [
        (12, b"Evil"),
        (19, b"Evil"),
        (22, b"Evil"),
        (20, b"Evil"),
        (30, b"\0E\0v\0i\0l"),
        (28, b"\0\0\0E\0\0\0v\0\0\0i\0\0\0l"),
    ];
    for (tag, value) in good {
        assert!(
            holds("subject.organization == \"Evil\"", &one(tag, value)),
            "tag {tag}"
        );
    }
    let doubtful: [(u8, &[u8]); 12] = [
        (12, b"Good\0Evil"),
        (12, b"Good\x7f"),
        (12, b"\xff"),
        (12, "\u{85}".as_bytes()),
        (19, "\u{f6}".as_bytes()),
        (20, b"\xf6"),
        (30, b"\0E\0"),
        (30, b"\xd8\x3d\xde\x00"),
        (30, b"\0G\0\0"),
        (28, b"\0\x11\0\0"),
        (4, b"Evil"),
        (48, b""),
    ];
    for (tag, value) in doubtful {
        let leaf = one(tag, value);
        assert!(
            !holds("subject.organization == \"Evil\"", &leaf),
            "tag {tag}"
        );
        assert!(
            !holds("subject.organization != \"Evil\"", &leaf),
            "tag {tag}"
        );
        assert!(!holds("subject.organization == \"\"", &leaf), "tag {tag}");
    }
}

#[test]
fn an_attribute_counts_as_repeated_wherever_it_is() {
    let good = organization(12, b"Good");
    let evil = organization(12, b"Evil");
    let apart = der::sequence(&[der::element(SET, &good), der::element(SET, &evil)]);
    let together = der::sequence(&[der::element(SET, &[good, evil].concat())]);
    for subject in [apart, together] {
        let leaf = with_subject(&subject);
        assert!(!holds("subject.organization == \"Good\"", &leaf));
        assert!(!holds("!(subject.organization == \"Evil\")", &leaf));
        assert!(!holds("subject.organization != \"x\"", &leaf));
        let unusable: Vec<_> = LeafFacts::from_der(&leaf).unwrap().unusable().collect();
        assert_eq!(unusable, ["`subject.organization` occurs more than once"]);
    }
}

#[test]
fn names_that_cannot_be_read_are_counted_but_never_text() {
    let other = |inner: &[u8]| {
        General::Raw(
            0xa0,
            [vec![6, 2, 0x2a, 3], der::element(0xa0, inner)].concat(),
        )
    };
    for name in [
        General::Raw(0x82, b"a\0b".to_vec()),
        General::Raw(0x82, b"\xff".to_vec()),
        General::Raw(0xa2, b"x".to_vec()),
        General::Raw(0x80, der::element(12, b"x")),
        General::Raw(0x82, "\u{e5}.example".as_bytes().to_vec()),
        General::Raw(0x87, vec![1, 2, 3]),
        General::Raw(0x87, vec![10, 0, 0, 0, 255, 0, 0, 0]),
        General::Directory(Name::common("x")),
        General::Registered(&[1, 2, 3]),
        other(&der::element(2, &[1])),
        other(&[der::element(12, b"a"), der::element(12, b"b")].concat()),
        other(b""),
    ] {
        let leaf = mint(Name::common("x"), std::slice::from_ref(&name));
        assert!(
            holds("size(subject_alt_names) == 1", leaf.der()),
            "{name:?}"
        );
        assert!(
            !holds("subject_alt_names.exists(s, s.value == \"x\")", leaf.der()),
            "{name:?}"
        );
        assert!(
            !holds("subject_alt_names.exists(s, s.value != \"x\")", leaf.der()),
            "{name:?}"
        );
    }
    let leaf = mint(Name::empty(), &[other(&der::element(12, b"a"))]);
    assert!(holds(
        "subject_alt_names[0].value == \"a\" && subject_alt_names[0].oid == \"1.2.3\"",
        leaf.der()
    ));
}

/// What a lax reader would step over.
#[test]
fn names_that_are_not_der_to_the_last_byte_are_an_error() {
    let dns = der::element(0x82, b"a");
    let sound = der::sequence(std::slice::from_ref(&dns));
    let template = || root("Root").mint().leaf("leaf");
    let extension = |value: &[u8]| template().extension(&[2, 5, 29, 17], false, value).mint();
    assert!(LeafFacts::from_der(extension(&sound).der()).is_ok());
    for value in [
        [sound.as_slice(), &dns].concat(),
        der::sequence(&[dns.clone(), vec![0x82, 9]]),
        der::sequence(&[der::element(2, b"a")]),
        der::element(0x31, &dns),
        dns,
        Vec::new(),
    ] {
        assert!(
            LeafFacts::from_der(extension(&value).der()).is_err(),
            "{value:x?}"
        );
    }
    let twice = template()
        .san(General::dns("b"))
        .extension(&[2, 5, 29, 17], false, &sound)
        .mint();
    assert!(LeafFacts::from_der(twice.der()).is_err());
}

#[test]
fn what_is_no_leaf_is_an_error() {
    let leaf = mint(Name::common("x"), &[General::dns("a")]);
    let mut long = leaf.der().to_vec();
    long.push(0);
    assert!(LeafFacts::from_der(&long).is_err());
    for end in 0..leaf.der().len() {
        assert!(LeafFacts::from_der(&leaf.der()[..end]).is_err(), "{end}");
    }
}

/// Every byte of a leaf, changed in every bit: no panic.
#[test]
fn no_damage_makes_it_panic() {
    let leaf = mint(
        Name::common("x"),
        &[General::dns("a"), General::Other(&[1, 2], "b".to_owned())],
    );
    for index in 0..leaf.der().len() {
        for bit in 0..8 {
            let mut damaged = leaf.der().to_vec();
            damaged[index] ^= 1 << bit;
            drop(LeafFacts::from_der(&damaged));
        }
    }
}
