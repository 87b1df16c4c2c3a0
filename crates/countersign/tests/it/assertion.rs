//! Assertions from their first to their last: added, run, breaking a change, overridden, deleted; and
//! the page about them.

use std::fs;

use countersign_testca::root;
use insta::assert_snapshot;
use tempfile::{TempDir, tempdir};

use crate::{
    readme::{blocks, run},
    running::Dev,
    shell::{seen, steady},
};

const PAGE: &str = include_str!("../../../../docs/assertions.md");

/// A project where the CA of `dev` is enforced, with an assertion that its client passes.
struct Scene {
    dev: Dev,
    certificate: String,
    _directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let dev = Dev::start(directory.path());
        let certificate = dev.upload("dev");
        let scene = Self {
            dev,
            certificate,
            _directory: directory,
        };
        scene.at_project(&["certificate", "activate", &scene.certificate]);
        let client = scene.dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"].clone();
        scene.at_project(&[
            "assertion",
            "add",
            "--chain",
            &client,
            "--expect",
            "permit",
            "--name",
            "batch job",
            "--reason",
            "payments stop without it",
        ]);
        scene
    }

    fn at_project(&self, args: &[&str]) -> serde_json::Value {
        let project = self.dev.env["OPENAI_PROJECT_ID"].as_str();
        self.dev.json(&[args, &["--project", project]].concat())
    }

    fn seen(&self, args: &[&str]) -> String {
        seen(self.dev.command(args))
    }
}

#[test]
fn a_change_that_breaks_one_is_refused_and_made_when_that_is_allowed() {
    let scene = Scene::new();
    let project = scene.dev.env["OPENAI_PROJECT_ID"].clone();
    assert_snapshot!("holds", scene.seen(&["assertion", "run", "-o", "table"]));
    let other = root("Other").mint();
    fs::write(scene.dev.directory.join("other.pem"), other.pem()).unwrap();
    let upload = ["certificate", "upload", "other.pem", "--name", "other"];
    let other = scene.dev.json(&upload)["id"].as_str().unwrap().to_owned();
    scene.at_project(&["certificate", "activate", &other]);
    let deactivate = ["certificate", "deactivate", "dev", "--project", &project];
    let with = |more: &[&str]| scene.seen(&[&deactivate, more].concat());
    assert_snapshot!("preview", with(&["--preview", "-o", "table"]));
    assert_snapshot!("looked_at", with(&["--yes"]));
    // A script that allows refusals hears of it too.
    assert_snapshot!("refused", with(&["--yes", "--allow-refusals"]));
    let policy = ["certificate", "set-policy", "dev", "--policy"];
    let policy = [&policy[..], &["subject.common_name == \"nobody\""]].concat();
    let refused = scene.seen(&policy);
    assert!(refused.starts_with("exit 3"), "{refused}");
    let archive = ["project", "archive", &project, "--yes", "--allow-refusals"];
    let refused = scene.seen(&archive);
    assert!(refused.starts_with("exit 3"), "{refused}");
    let made = with(&["--yes", "--allow-broken-assertions", "-o", "json"]);
    assert!(made.starts_with("exit 0"), "{made}");
    assert_snapshot!("broken", scene.seen(&["assertion", "run", "-o", "table"]));
    let log = scene.dev.json(&["audit-log", "list"]).to_string();
    assert!(log.contains("assertion_overridden"), "{log}");
    let rename = ["assertion", "update", "batch job", "--name", "batch"];
    assert_eq!(scene.dev.json(&rename)["name"], "batch");
    let deleted = scene.seen(&["assertion", "delete", "batch", "--yes"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
    assert_eq!(
        scene.dev.json(&["assertion", "list"]),
        serde_json::json!([])
    );
}

#[test]
fn one_is_added_with_what_is_needed_and_shown_as_it_was() {
    let scene = Scene::new();
    let client = scene.dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"].clone();
    let add = |more: &[&str]| {
        let project = scene.dev.env["OPENAI_PROJECT_ID"].as_str();
        let always = ["assertion", "add", "--project", project];
        scene.seen(&[&always, more].concat())
    };
    let without = ["--no-certificate", "--expect", "deny", "--code"];
    let made = add(&[&without[..], &["certificate_required", "-o", "table"]].concat());
    assert_snapshot!(
        "added",
        made.replace(&scene.dev.env["OPENAI_PROJECT_ID"], "[project]")
    );
    let unfulfilled = ["--chain", &client, "--expect", "deny", "--name", "out"];
    assert_snapshot!(
        "does_not_hold",
        add(&[&unfulfilled[..], &["-o", "jsonl"]].concat())
            .lines()
            .last()
            .unwrap()
            .to_owned()
    );
    let key = scene.dev.env["OPENAI_MTLS_CLIENT_KEY_FILE"].clone();
    for (name, more) in [
        ("key", vec!["--chain", key.as_str(), "--expect", "permit"]),
        ("empty", vec!["--chain", "/dev/null", "--expect", "permit"]),
        (
            "code",
            vec![
                "--no-certificate",
                "--expect",
                "permit",
                "--code",
                "certificate_required",
            ],
        ),
        ("word", vec!["--no-certificate", "--expect", "allow"]),
        (
            "twice",
            vec!["--no-certificate", "--expect", "deny", "--name", "out"],
        ),
    ] {
        assert_snapshot!(format!("mistake_{name}"), add(&more));
    }
    let pem = scene.seen(&["assertion", "retrieve", "out", "--pem"]);
    let own = fs::read_to_string(client).unwrap();
    assert_eq!(pem.split_once("stdout\n").unwrap().1, own);
}

/// The commands of the page, against a fresh `dev`.
#[test]
fn the_page_works_as_it_stands() {
    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    let printed = run(&blocks(PAGE).join("\n"), directory.path());
    for (part, times) in [("would no longer hold: 1 assertion", 1), ("exit code 3", 3)] {
        let found = printed.matches(part).count();
        assert_eq!(found, times, "{part}: {}", steady(&printed));
    }
}
