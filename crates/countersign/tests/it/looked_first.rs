//! What is looked at before something is uploaded twice, deleted from under a rotation, or taken from
//! oneself.

use std::fs;

use countersign_testca::root;
use insta::assert_snapshot;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{
    running::Dev,
    shell::{seen, transcript},
};

struct Scene {
    dev: Dev,
    _directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let dev = Dev::start(directory.path());
        let ca = root("Client CA").mint().pem();
        fs::write(dev.directory.join("mesh.pem"), ca).unwrap();
        Self {
            dev,
            _directory: directory,
        }
    }

    fn seen(&self, args: &[&str]) -> String {
        seen(self.dev.command(args))
    }

    fn upload(&self, more: &[&str]) -> String {
        self.seen(&[&["certificate", "upload", "mesh.pem"], more].concat())
    }

    fn certificates(&self) -> Vec<Value> {
        let listed = self.dev.json(&["certificate", "list"]);
        listed.as_array().unwrap().clone()
    }
}

#[test]
fn the_same_certificate_is_uploaded_once_unless_that_is_asked_for() {
    let scene = Scene::new();
    assert!(scene.upload(&["--name", "mesh"]).starts_with("exit 0"));
    assert_snapshot!("upload_again", scene.upload(&["-o", "table"]));
    assert_snapshot!("upload_again_id", scene.upload(&["--name", "mesh", "-q"]));
    assert_snapshot!("upload_other_name", scene.upload(&["--name", "other"]));
    assert_snapshot!("upload_other_policy", scene.upload(&["--policy", "true"]));
    assert_eq!(scene.certificates().len(), 1);
    // It is activated as the one that is here.
    let activated = scene.upload(&["--activate", "-o", "json"]);
    assert!(activated.starts_with("exit 0"), "{activated}");
    assert_eq!(scene.certificates()[0]["active"], true);
    let duplicate = scene.upload(&["--allow-duplicate"]);
    assert!(duplicate.starts_with("exit 0"), "{duplicate}");
    assert_eq!(scene.certificates().len(), 2);
}

#[test]
fn a_part_of_a_rotation_is_not_deleted() {
    let scene = Scene::new();
    let old = scene.dev.upload("old");
    let made = scene.upload(&["--name", "new"]);
    assert!(made.starts_with("exit 0"), "{made}");
    scene.dev.json(&["certificate", "activate", &old]);
    scene.dev.json(&["rotation", "start", "old", "new"]);
    scene
        .dev
        .json(&["certificate", "deactivate", "new", "--yes"]);
    let refused = scene.seen(&["certificate", "delete", "new", "--yes"]);
    assert_snapshot!("delete_of_a_part", refused);
    let aborted = scene.seen(&["rotation", "abort"]);
    assert!(aborted.starts_with("exit 0"), "{aborted}");
    let deleted = scene.seen(&["certificate", "delete", "new", "--yes"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
}

#[test]
fn the_key_in_use_is_deleted_only_by_who_says_so() {
    let scene = Scene::new();
    let other = scene.dev.json(&["admin-key", "create", "--name", "spare"]);
    let value = other["value"].as_str().unwrap();
    let id = other["id"].as_str().unwrap();
    let own = |more: &[&str]| {
        let mut command = scene
            .dev
            .command(&[&["admin-key", "delete", id, "-o", "json"], more].concat());
        command.env("OPENAI_ADMIN_KEY", value);
        transcript(&command.output().unwrap())
    };
    assert_snapshot!("own_key", own(&["--yes"]));
    let deleted = own(&["--yes", "--allow-refusals"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
    // Another's needs no more than before.
    let other = scene.dev.json(&["admin-key", "create", "--name", "spare"]);
    let id = other["id"].as_str().unwrap();
    let deleted = scene.seen(&["admin-key", "delete", id, "--yes"]);
    assert!(deleted.starts_with("exit 0"), "{deleted}");
}

#[test]
fn what_a_key_may_not_look_at_is_not_taken_for_harmless() {
    let scene = Scene::new();
    let create = ["admin-key", "create", "--name", "manager", "--scopes"];
    let manager = scene.dev.json(&[&create[..], &["api.management"]].concat());
    let value = manager["value"].as_str().unwrap();
    let project = scene.dev.json(&["project", "create", "--name", "idle"]);
    let project = project["id"].as_str().unwrap();
    let archive = |more: &[&str]| {
        let mut command = scene
            .dev
            .command(&[&["project", "archive", project], more].concat());
        command.env("OPENAI_ADMIN_KEY", value);
        transcript(&command.output().unwrap())
    };
    assert_snapshot!("hidden", archive(&["--yes"]));
    let archived = archive(&["--yes", "--allow-refusals"]);
    assert!(archived.starts_with("exit 0"), "{archived}");
}

/// Each command says the same of such a file, and goes on with its first certificate only.
#[test]
fn of_a_file_with_two_cas_only_the_first_counts() {
    let scene = Scene::new();
    let [one, two] = ["One", "Two"].map(|name| root(name).mint());
    let write = |file: &str, text: String| fs::write(scene.dev.directory.join(file), text).unwrap();
    write("two.pem", one.pem() + &two.pem());
    write("of-one.pem", one.leaf("a").mint().pem());
    write("of-two.pem", two.leaf("b").mint().pem());
    write(
        "trust.toml",
        "[certificates.two]\nfile = \"two.pem\"\n".to_owned(),
    );
    let verify = ["verify", "--chain", "of-one.pem", "--anchor", "two.pem"];
    let mut all = String::new();
    for args in [
        &["certificate", "inspect", "two.pem"][..],
        &["certificate", "upload", "two.pem"],
        &verify,
        &["plan", "trust.toml"],
    ] {
        let (line, refused) = (args.join(" "), scene.seen(args));
        all += &format!("{line}\n{refused}\n");
        let accepted = scene.seen(&[args, &["--first"]].concat());
        let says = "holds 2 certificates; only the first counts";
        assert!(accepted.contains(says), "{line}: {accepted}");
        assert!(!accepted.contains("error:"), "{line}: {accepted}");
    }
    assert_snapshot!("two_cas", all);
    let of_two = ["verify", "--chain", "of-two.pem", "--anchor", "two.pem"];
    let refused = scene.seen(&[&of_two[..], &["--first"]].concat());
    assert!(refused.contains("refusal"), "{refused}");
    // The upload has the first alone, and a file may say for itself that this is meant.
    let pem = scene.certificates()[0]["id"].as_str().unwrap().to_owned();
    let pem = scene.seen(&["certificate", "retrieve", &pem, "--pem"]);
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 1, "{pem}");
    write(
        "trust.toml",
        "[certificates.two]\nfile = \"two.pem\"\nfirst = true\n".to_owned(),
    );
    let planned = scene.seen(&["plan", "trust.toml", "-o", "table"]);
    assert!(planned.starts_with("exit 0"), "{planned}");
}

/// However the last trust anchor is taken away, it is said, and a script must allow it.
#[test]
fn what_leaves_nothing_enforced_is_asked_for() {
    let scene = Scene::new();
    let refused = |args: &[&str]| {
        let said = scene.seen(args);
        assert!(said.starts_with("exit 3"), "{args:?}: {said}");
        let what = "would enforce no trust anchor: every valid key passes without a certificate";
        assert!(said.contains(what), "{args:?}: {said}");
        assert!(said.contains("--allow-disarm"), "{args:?}: {said}");
    };
    let active = || scene.certificates()[0]["enforcement"].clone();
    let made = scene.upload(&["--name", "mesh", "--activate"]);
    assert!(made.starts_with("exit 0"), "{made}");
    let upload = [
        "certificate",
        "upload",
        "mesh.pem",
        "--activate",
        "--report",
    ];
    let upload = [&upload[..], &["--yes"]].concat();
    refused(&upload);
    assert_eq!(active(), Value::Null, "enforced as before");
    let allowed = scene.seen(&[&upload[..], &["--allow-disarm"]].concat());
    assert!(allowed.starts_with("exit 0"), "{allowed}");
    assert_eq!(active(), "report");

    // Aborting takes the new one away, when the old one is gone meanwhile.
    let new = root("New CA").mint().pem();
    fs::write(scene.dev.directory.join("new.pem"), new).unwrap();
    scene
        .dev
        .json(&["certificate", "upload", "new.pem", "--name", "new"]);
    scene.dev.json(&["certificate", "activate", "mesh"]);
    scene.dev.json(&["rotation", "start", "mesh", "new"]);
    scene
        .dev
        .json(&["certificate", "deactivate", "mesh", "--yes"]);
    refused(&["rotation", "abort", "--allow-refusals"]);
    let aborted = scene.seen(&["rotation", "abort", "--allow-disarm"]);
    assert!(aborted.starts_with("exit 0"), "{aborted}");
}

#[test]
fn a_gateways_key_is_not_taken_away_from_it_unseen() {
    let scene = Scene::new();
    let data = scene.dev.directory.to_str().unwrap();
    let keys = |args: &[&str]| {
        let all = [&["gateway-key"], args, &["--data-dir", data]].concat();
        crate::running::countersign(&all)
    };
    let listed = keys(&["list"]).output().unwrap().stdout;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    let key = &listed[0];
    assert_eq!(key["used_by"].as_array().unwrap().len(), 1, "{key}");
    let id = key["id"].as_str().unwrap();
    assert_snapshot!("gateway_key", seen(keys(&["delete", id, "--yes"])));
    let unasked = seen(keys(&["delete", id, "--allow-refusals"]));
    assert!(unasked.starts_with("exit 2"), "{unasked}");
    let gone = seen(keys(&["delete", id, "--yes", "--allow-refusals"]));
    assert!(gone.starts_with("exit 0"), "{gone}");
}
