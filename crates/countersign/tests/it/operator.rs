//! The operator's commands, which work on the store: beside a server and without one.

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{
    running::{Dev, countersign},
    shell::seen,
};

fn json(directory: &TempDir, args: &[&str]) -> Value {
    let mut command = countersign(args);
    command.args(["--data-dir", directory.path().to_str().unwrap()]);
    let ran = command.output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn an_organization_is_made_listed_and_given_another_key() {
    let directory = tempdir().unwrap();
    let made = json(&directory, &["organization", "create", "--name", "acme"]);
    assert_eq!(made["name"], "acme");
    assert!(
        made["admin_key"]["value"]
            .as_str()
            .unwrap()
            .starts_with("sk-admin-")
    );
    let list = json(&directory, &["organization", "list"]);
    assert_eq!(list[0]["id"], made["id"]);
    let id = made["id"].as_str().unwrap();
    let args = [
        "organization",
        "create-key",
        id,
        "--name",
        "again",
        "--scopes",
        "api.management",
    ];
    let key = json(&directory, &args);
    assert_eq!(key["scopes"], serde_json::json!(["api.management"]));
}

#[test]
fn after_a_lock_out_the_operator_makes_a_key_that_works_at_once() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    for key in dev.json(&["admin-key", "list"]).as_array().unwrap() {
        let id = key["id"].as_str().unwrap();
        // The last of them is the one in use.
        dev.json(&["admin-key", "delete", id, "--yes", "--allow-refusals"]);
    }
    let locked_out = dev.command(&["certificate", "list"]).output().unwrap();
    assert_eq!(locked_out.status.code(), Some(1));
    let id = json(&directory, &["organization", "list"])[0]["id"].clone();
    let args = [
        "organization",
        "create-key",
        id.as_str().unwrap(),
        "--name",
        "back",
    ];
    let key = json(&directory, &args);
    let mut command = dev.command(&["certificate", "list"]);
    command.env("OPENAI_ADMIN_KEY", key["value"].as_str().unwrap());
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_gateway_key_from_its_making_to_its_end() {
    let directory = tempdir().unwrap();
    json(&directory, &["organization", "create", "--name", "acme"]);
    let made = json(&directory, &["gateway-key", "create", "--name", "edge"]);
    assert!(made["value"].as_str().unwrap().starts_with("sk-gateway-"));
    let list = json(&directory, &["gateway-key", "list"]);
    assert_eq!(list[0]["id"], made["id"]);
    assert_eq!(list[0].get("value"), None);
    let id = made["id"].as_str().unwrap();
    json(&directory, &["gateway-key", "delete", id, "--yes"]);
    assert_eq!(
        json(&directory, &["gateway-key", "list"]),
        serde_json::json!([])
    );
}

#[test]
fn a_wrong_directory_is_not_taken_for_an_empty_store() {
    let directory = tempdir().unwrap();
    let text = directory.path().to_str().unwrap();
    let args = ["organization", "list", "--data-dir", text];
    insta::assert_snapshot!(seen(countersign(&args)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let unwritable = [
        "organization",
        "create",
        "--name",
        "a",
        "--data-dir",
        "/dev/null/x",
    ];
    insta::assert_snapshot!("unwritable", seen(countersign(&unwritable)));
    let nameless = ["organization", "create", "--name", "", "--data-dir", text];
    insta::assert_snapshot!("nameless", seen(countersign(&nameless)));
}
