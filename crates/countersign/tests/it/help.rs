//! What `--help` says, for each noun: the contract in words.

use insta::assert_snapshot;

use crate::{running::countersign, shell::seen};

#[test]
fn each_noun_says_what_it_does() {
    for noun in [
        "",
        "serve",
        "dev",
        "gateway",
        "connect",
        "verify",
        "explain",
        "certificate",
        "certificate crl",
        "rotation",
        "plan",
        "apply",
        "export",
        "assertion",
        "denial",
        "expiring",
        "project",
        "service-account",
        "api-key",
        "admin-key",
        "audit-log",
        "webhook",
        "organization",
        "gateway-key",
        "config",
        "doctor",
    ] {
        let args: Vec<&str> = noun.split_whitespace().chain(["--help"]).collect();
        assert_snapshot!(format!("help_{noun}"), seen(countersign(&args)));
    }
}

#[test]
fn certificate_verbs_say_what_they_take() {
    for verb in [
        "upload",
        "set-policy",
        "update",
        "activate",
        "delete",
        "retrieve",
        "list",
        "usage",
    ] {
        let args = ["certificate", verb, "--help"];
        assert_snapshot!(format!("help_certificate_{verb}"), seen(countersign(&args)));
    }
}

#[test]
fn each_shell_gets_its_completions_and_the_manual_has_pages() {
    for shell in ["bash", "zsh", "fish"] {
        let script = countersign(&["completions", shell]).output().unwrap();
        let text = String::from_utf8(script.stdout).unwrap();
        assert!(text.contains("COUNTERSIGN_COMPLETE"), "{shell}");
    }
    let mut asked = countersign(&["--", "countersign", "ser"]);
    let said = asked.env("COUNTERSIGN_COMPLETE", "fish").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.contains("service-account") && said.contains("serve"),
        "{said}"
    );
    for help in [
        &["help", "certificate", "upload"][..],
        &["certificate", "upload", "--help"],
    ] {
        let text = countersign(help).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("Examples:"), "{text}");
    }
    let version = countersign(&["version"]).output().unwrap().stdout;
    assert_eq!(
        version,
        countersign(&["--version"]).output().unwrap().stdout
    );
    let page = countersign(&["man", "certificate", "upload"])
        .output()
        .unwrap();
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(
        text.starts_with(".ie") && text.contains("PEM file of the CA"),
        "{text}"
    );
    let unknown = countersign(&["man", "nothing"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
