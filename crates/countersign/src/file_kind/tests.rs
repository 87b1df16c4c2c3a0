use std::path::Path;

use countersign_testca::root;

use super::{
    der::Der,
    kind::{Kind, Wanted},
    pem::{Block, Flaw, blocks},
};

fn certificate() -> String {
    root("Mesh").mint().pem()
}

#[test]
fn a_file_is_known_by_what_it_holds() {
    let pem = certificate();
    let der = root("Mesh").mint().der().to_vec();
    let utf16: Vec<u8> = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: Vec<(Vec<u8>, Kind)> = vec![
        (b" \n".to_vec(), Kind::Empty),
        (utf16, Kind::Utf16),
        ([b"# \xe9\n", pem.as_bytes()].concat(), Kind::PemNotUtf8),
        (
            [b"\xef\xbb\xbf", pem.as_bytes()].concat(),
            Kind::Pem(vec!["CERTIFICATE".into()]),
        ),
        (der, Kind::Der(Der::Certificate)),
        (
            b"\x30\x82\x01\x00\x02\x01\x03\x30\x00".to_vec(),
            Kind::Der(Der::Pkcs12),
        ),
        (
            b"\x30\x10\x02\x01\x00\x30\x00".to_vec(),
            Kind::Der(Der::PrivateKey),
        ),
        (
            b"\x30\x10\x06\x01\x2a\xa0\x00".to_vec(),
            Kind::Der(Der::Pkcs7),
        ),
        (b"{\"a\": 1}".to_vec(), Kind::Json),
        (b"<html>".to_vec(), Kind::Html),
        (b"MIIBqDCCAU2gAwIBAgIU".to_vec(), Kind::Base64),
        (b"hello".to_vec(), Kind::Text),
        (b"\xc3\x28\x80".to_vec(), Kind::Binary),
    ];
    for (bytes, kind) in cases {
        assert_eq!(Kind::of(&bytes), kind);
    }
}

#[test]
fn every_kind_has_something_to_do() {
    let kinds = [
        Kind::Empty,
        Kind::Utf16,
        Kind::PemNotUtf8,
        Kind::Base64,
        Kind::Der(Der::Request),
        Kind::Der(Der::Pkcs12),
        Kind::Archive("a ZIP archive", "unzip"),
        Kind::Pem(vec!["X509 CRL".into()]),
        Kind::Text,
        Kind::Binary,
    ];
    for kind in kinds {
        for wanted in [Wanted::Certificate, Wanted::PrivateKey] {
            let failure = kind.instead_of(wanted, Path::new("a b.pem"));
            assert!(failure.message().starts_with("`a b.pem` is "), "{failure}");
            assert!(failure.advice().is_some(), "{failure}");
        }
    }
}

#[test]
fn blocks_are_read_as_they_stand_and_damage_is_found_on_its_line() {
    let pem = certificate();
    let labels = |text: &str| -> Vec<(String, usize)> {
        let read = blocks(text).unwrap();
        read.into_iter()
            .map(|Block { label, line, .. }| (label, line))
            .collect()
    };
    let one = vec![("CERTIFICATE".to_owned(), 1)];
    assert_eq!(labels(&pem), one);
    assert_eq!(labels(&pem.replace('\n', "\r\n")), one);
    assert_eq!(labels(&pem.replace('\n', "\\n")), one);
    assert_eq!(
        labels(&format!("# text\n  {}", pem.replace('\n', "\n  "))),
        [("CERTIFICATE".to_owned(), 2)]
    );
    let lines = pem.lines().count();
    let glued = format!("{}{pem}", pem.trim_end());
    let begin = pem.lines().next().unwrap();
    for (text, flaw) in [
        (
            format!("Hello\n> {}", pem.replace('\n', "\n> ")),
            Flaw::Quoted(2),
        ),
        (glued, Flaw::Glued(lines)),
        (pem.replace('\n', ""), Flaw::OneLine(1)),
        (pem.replace("-----END", "END"), Flaw::NotBase64(lines)),
        (format!("{begin}\nMIIB\n"), Flaw::Unended(1)),
        (format!("{begin}\nMI!B\n"), Flaw::NotBase64(2)),
        (
            format!("{begin}\n-----END CERTIFICATE-----\n"),
            Flaw::Nothing(1),
        ),
        (
            format!("{begin}\nMIIBA\n-----END CERTIFICATE-----\n"),
            Flaw::CutShort(1),
        ),
        (
            format!("{begin}\nMIIB\n-----END KEY-----\n"),
            Flaw::OtherEnd(1),
        ),
    ] {
        assert_eq!(blocks(&text), Err(flaw), "{text}");
    }
}
