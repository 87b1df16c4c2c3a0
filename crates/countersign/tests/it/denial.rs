//! Denials and floors from the command line; and the page about them.

use std::fs;

use countersign_testca::root;
use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{
    crl::openssl,
    readme::{blocks, run},
    running::Dev,
    shell::{seen, steady},
};

const PAGE: &str = include_str!("../../../../docs/revoke.md");

#[test]
fn what_is_no_client_and_what_nobody_has_is_said() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let ca = root("Mesh").mint();
    fs::write(dev.directory.join("ca.pem"), ca.pem()).unwrap();
    let add = |more: &[&str]| {
        let args = [&["denial", "add"], more].concat();
        steady(&seen(dev.command(&args)))
    };
    for (name, more) in [
        ("ca", vec!["ca.pem"]),
        ("nothing", vec![]),
        ("twice", vec!["ca.pem", "--san", "DNS:a.example"]),
        ("pattern", vec!["--san", "DNS:(a|b).example"]),
        ("type", vec!["--san", "HOST:a.example"]),
        ("network", vec!["--san", "IP:10.0.0.0/8"]),
        (
            "past",
            vec!["--san", "DNS:a.example", "--until", "2020-01-01T00:00:00Z"],
        ),
        ("issuer", vec!["--serial", "1"]),
        ("serial", vec!["--serial", "x", "--issuer", "CN=CA"]),
        (
            "control",
            vec!["--san", "DNS:a.example", "--name", "a\u{7}"],
        ),
    ] {
        assert_snapshot!(format!("mistake_{name}"), add(&more));
    }
    let unseen = add(&[
        "--san",
        "DNS:Nobody.example.com.",
        "--name",
        "nobody",
        "--yes",
    ]);
    assert!(unseen.contains("was seen"), "{unseen}");
    assert!(
        unseen.contains("\"value\": \"nobody.example.com\""),
        "{unseen}"
    );
    let listed = dev.json(&["denial", "list"]);
    assert_eq!(listed[0]["name"], "nobody");
    let removed = dev.json(&["denial", "remove", "nobody", "--yes"]);
    assert_eq!(removed[0]["deleted"], true);
    let future = [
        "certificate",
        "update",
        "dev",
        "--refuse-issued-before",
        "2999-01-01T00:00:00Z",
    ];
    let future = seen(dev.command(&future));
    assert!(future.contains("in the future"), "{future}");
}

fn is_status(line: &str) -> bool {
    line.len() == 3 && line.chars().all(|c| c.is_ascii_digit())
}

/// The commands of the page, against a fresh `dev`.
#[test]
fn the_page_works_as_it_stands() {
    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    openssl(directory.path());
    let printed = run(&blocks(PAGE).join("\n"), directory.path());
    let lines: Vec<&str> = printed.lines().filter(|line| is_status(line)).collect();
    let expected = ["200", "401", "200", "200", "200", "401", "200"];
    assert_eq!(lines, expected, "{}", steady(&printed));
}
