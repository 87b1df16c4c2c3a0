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
            args.extend(["--project", "dev", "--allow-disarm"]);
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

#[test]
fn a_key_that_may_not_list_projects_is_told_so() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("mesh-2026");
    let scopes = "api.mtls.read,api.mtls.write";
    let key = dev.json(&["admin-key", "create", "--name", "mtls", "--scopes", scopes]);
    let activate = |project: &str| {
        let args = ["certificate", "activate", "mesh-2026", "--project", project];
        let mut command = dev.command(&args);
        command.env("OPENAI_ADMIN_KEY", key["value"].as_str().unwrap());
        seen(command)
    };
    let by_name = activate("dev");
    assert!(by_name.starts_with("exit 2"), "{by_name}");
    let why =
        "this key may not list projects, so `dev` cannot be looked up by its name; give its id";
    assert!(by_name.contains(why), "{by_name}");
    let by_id = activate(&dev.env["OPENAI_PROJECT_ID"]);
    assert!(by_id.starts_with("exit 0"), "{by_id}");
}

#[test]
fn a_shell_is_offered_the_names_that_there_are() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("mesh-2027");
    let offered = |line: &[&str]| {
        let mut asked = dev.command(&[&["--", "countersign"], line].concat());
        let said = asked.env("COUNTERSIGN_COMPLETE", "fish").output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let values = said.lines().filter_map(|line| line.split('\t').next());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["certificate", "retrieve", "m"]), ["mesh-2027"]);
    assert_eq!(offered(&["certificate", "activate", "cert_"]), [id]);
    assert_eq!(
        offered(&["certificate", "activate", "x", "--project", "d"]),
        ["dev"]
    );
    assert_eq!(
        offered(&["api-key", "retrieve", "--project", "dev", "d"]),
        ["dev"]
    );
    let types = offered(&["audit-log", "list", "--type", "certificates."]);
    assert_eq!(
        types,
        ["certificates.activated", "certificates.deactivated"]
    );
    // A server that does not answer offers nothing, and does not hold up the shell.
    let mut asked = dev.command(&["--", "countersign", "certificate", "retrieve", "m"]);
    asked
        .env("COUNTERSIGN_COMPLETE", "fish")
        .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    let said = asked.output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap().trim(), "");
}

#[test]
fn a_list_that_is_cut_off_says_so() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("one");
    dev.upload("two");
    for (name, args) in [
        ("cut", &["certificate", "list", "--limit", "1", "-q"][..]),
        ("whole", &["certificate", "list", "--limit", "2", "-q"]),
        (
            "log_cut",
            &[
                "audit-log",
                "list",
                "--limit",
                "2",
                "--order",
                "asc",
                "-o",
                "table",
            ],
        ),
        (
            "log_type",
            &["audit-log", "list", "--type", "certificate.activated"],
        ),
        (
            "log_since",
            &["audit-log", "list", "--until", "1h", "-o", "json"],
        ),
    ] {
        insta::assert_snapshot!(format!("list_{name}"), seen(dev.command(args)));
    }
    let all = dev.json(&["audit-log", "list", "--all", "--since", "1h"]);
    assert_eq!(all.as_array().unwrap().len(), 6);
}

#[test]
fn a_name_may_begin_with_a_word_and_a_hyphen() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("org-mesh");
    let found = dev.json(&["certificate", "retrieve", "org-mesh"]);
    assert_eq!(found["id"], id.as_str());
    dev.json(&["project", "create", "--name", "user-portal"]);
    let listed = dev.json(&["certificate", "list", "--project", "user-portal"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn a_second_project_of_the_same_name_is_made_with_a_warning() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let made = seen(dev.command(&["project", "create", "--name", "dev", "-q"]));
    assert!(made.starts_with("exit 0"), "{made}");
    let warning = "warning: another project is called `dev` too, and is then found by its id alone";
    assert!(made.contains(warning), "{made}");
}

#[test]
fn events_are_found_by_names_and_tables_have_names() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("mesh");
    dev.json(&["certificate", "activate", "mesh", "--project", "dev"]);
    let list = |more: &[&str]| dev.json(&[&["audit-log", "list"], more].concat());
    let own = list(&["--actor", "First admin key", "--resource", "mesh"]);
    let types: Vec<_> = own
        .as_array()
        .unwrap()
        .iter()
        .map(|each| &each["type"])
        .collect();
    assert_eq!(types, ["certificates.activated", "certificate.created"]);
    assert_eq!(list(&["--actor", "key_unknown"]), json!([]));
    for (name, args) in [
        ("actor_typo", &["--actor", "Frist admin key"][..]),
        ("resource_typo", &["--resource", "mehs"]),
        (
            "nothing_since",
            &[
                "--since",
                "1h",
                "--type",
                "certificate.deleted",
                "-o",
                "table",
            ],
        ),
        ("by_name", &["--resource", "mesh", "-o", "table"]),
    ] {
        let args = [&["audit-log", "list"], args].concat();
        insta::assert_snapshot!(format!("log_{name}"), seen(dev.command(&args)));
    }
    let none = seen(dev.command(&["webhook", "list", "-o", "table"]));
    assert_eq!(none, "exit 0\n--- stderr\nno webhooks\n");
    let ids = seen(dev.command(&["audit-log", "head", "-q"]));
    assert!(
        ids.contains("`--quiet` prints ids, and nothing here has one"),
        "{ids}"
    );
}
