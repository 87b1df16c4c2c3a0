//! Names wherever an id is taken.

use serde_json::json;
use tempfile::tempdir;

use crate::{running::Dev, shell::seen};

#[test]
fn a_name_that_only_one_thing_has_is_as_good_as_its_id() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let (old, new) = (dev.upload("mesh-2026"), dev.upload("mesh 2027"));
    let both = ["certificate", "activate", "mesh 2027", "mesh-2026"];
    let active = dev.json(&[both.as_slice(), &["--project", "dev"]].concat());
    let ids: Vec<_> = active
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["id"])
        .collect();
    assert_eq!(ids, [&json!(new), &json!(old)]);
    let project = dev.env["OPENAI_PROJECT_ID"].clone();
    for (args, id) in [
        (&["certificate", "retrieve", "mesh-2026"][..], &old),
        (&["project", "retrieve", "dev"], &project),
    ] {
        assert_eq!(dev.json(args)["id"].as_str(), Some(id.as_str()), "{args:?}");
    }
    for noun in ["service-account", "api-key"] {
        let found = dev.json(&[noun, "retrieve", "dev", "--project", "dev"]);
        assert_eq!(found["name"], "dev", "{noun}");
    }
    let key = dev.json(&["admin-key", "retrieve", "First admin key"]);
    assert!(key["id"].as_str().unwrap().starts_with("key_"));
    let verbs = ["deactivate", "delete"].map(|verb| {
        let mut args = vec!["certificate", verb, "mesh-2026", "mesh 2027", "--yes"];
        if verb == "deactivate" {
            args.extend(["--project", "dev"]);
        }
        dev.json(&args).as_array().unwrap().len()
    });
    assert_eq!(verbs, [2, 2]);
}

#[test]
fn a_name_that_is_not_clear_changes_nothing() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("twice");
    dev.upload("twice");
    for (name, args) in [
        ("ambiguous", ["certificate", "activate", "twice"]),
        ("unknown", ["certificate", "retrieve", "twcie"]),
        ("nothing_like_it", ["project", "archive", "payments"]),
        ("of_nothing", ["webhook", "retrieve", "https://a.example"]),
    ] {
        insta::assert_snapshot!(format!("name_{name}"), seen(dev.command(&args)));
    }
}
