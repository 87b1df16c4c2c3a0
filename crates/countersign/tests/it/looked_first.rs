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
