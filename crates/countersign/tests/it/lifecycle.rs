//! Each noun from its making to its end, against a real server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    running::{Dev, Running},
    shell::seen,
};

fn ids(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[test]
fn a_certificate() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("first");
    let project = dev.env["OPENAI_PROJECT_ID"].clone();

    let retrieved = dev.json(&["certificate", "retrieve", &id]);
    assert_eq!(retrieved["name"], "first");
    assert_eq!(retrieved["certificate_details"].get("content"), None);
    let pem = std::fs::read(&dev.env["COUNTERSIGN_CLIENT_CA"]).unwrap();
    let printed = dev
        .command(&["certificate", "retrieve", &id, "--pem"])
        .output()
        .unwrap();
    assert_eq!(printed.stdout, pem, "byte for byte");
    let content = dev.json(&["certificate", "retrieve", &id, "--content"]);
    assert_eq!(
        content["certificate_details"]["content"]
            .as_str()
            .unwrap()
            .as_bytes(),
        pem
    );

    let renamed = dev.json(&["certificate", "update", &id, "--name", "second"]);
    assert_eq!(renamed["name"], "second");
    let policy = "subject.common_name == \"dev-client\"";
    let set = dev.json(&["certificate", "set-policy", &id, "--policy", policy]);
    assert_eq!(set["cel_policy"], policy);
    let removed = dev.json(&["certificate", "set-policy", &id, "--none"]);
    assert_eq!(removed.get("cel_policy"), None);

    let active = |dev: &Dev, args: &[&str]| {
        let list = dev.json(&[&["certificate", "list"], args].concat());
        list[0]["active"].as_bool().unwrap()
    };
    dev.json(&["certificate", "activate", &id, "--project", &project]);
    assert!(active(&dev, &["--project", &project]));
    assert!(!active(&dev, &[]), "the organization is another scope");
    dev.json(&["certificate", "activate", &id]);
    assert!(active(&dev, &[]));
    let deactivate = ["certificate", "deactivate", &id, "--yes"];
    let disarm = [&deactivate[..], &["--allow-disarm"]].concat();
    dev.json(&disarm);
    dev.json(&[&disarm[..], &["--project", &project]].concat());
    let deleted = dev.json(&["certificate", "delete", &id, "--yes"]);
    assert_eq!(
        deleted,
        json!([{"object": "certificate.deleted", "id": id}])
    );
    assert_eq!(dev.json(&["certificate", "list"]), json!([]));
}

#[test]
fn several_certificates_page_through_and_go_together() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let made: Vec<String> = (0..3).map(|n| dev.upload(&format!("ca-{n}"))).collect();
    let list = dev.json(&["certificate", "list", "--order", "asc"]);
    assert_eq!(ids(&list), made);
    let newest = dev.json(&["certificate", "list", "--limit", "1"]);
    assert_eq!(ids(&newest), [made[2].as_str()]);
    let all: Vec<&str> = made.iter().map(String::as_str).collect();
    let toggled = dev.json(&[&["certificate", "activate"], all.as_slice()].concat());
    assert_eq!(ids(&toggled), all);
    let deactivate = ["certificate", "deactivate", "--yes", "--allow-disarm"];
    dev.json(&[&deactivate[..], all.as_slice()].concat());
    // The second is gone already: what was deleted before the refusal is still printed.
    dev.json(&["certificate", "delete", all[1], "--yes"]);
    let command = dev.command(&[&["certificate", "delete", "--yes"], all.as_slice()].concat());
    insta::assert_snapshot!(seen(command));
}

#[test]
fn a_pem_and_a_policy_come_from_standard_input() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let pem = std::fs::File::open(&dev.env["COUNTERSIGN_CLIENT_CA"]).unwrap();
    let ran = dev
        .command(&["certificate", "upload", "-"])
        .stdin(pem)
        .output()
        .unwrap();
    let uploaded: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let id = uploaded["id"].as_str().unwrap();
    assert_eq!(uploaded["name"], Value::Null);
    std::fs::write(directory.path().join("policy.cel"), "1 < 2\n").unwrap();
    let policy = std::fs::File::open(directory.path().join("policy.cel")).unwrap();
    let set = dev
        .command(&["certificate", "set-policy", id, "--policy-file", "-"])
        .stdin(policy)
        .output();
    let set: Value = serde_json::from_slice(&set.unwrap().stdout).unwrap();
    assert_eq!(set["cel_policy"], "1 < 2");
}

#[test]
fn a_project_and_its_accounts_and_keys() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let project = dev.json(&["project", "create", "--name", "web"]);
    let project = project["id"].as_str().unwrap();
    assert_eq!(dev.json(&["project", "retrieve", project])["name"], "web");
    let renamed = dev.json(&["project", "update", project, "--name", "shop"]);
    assert_eq!(renamed["name"], "shop");

    let on = |noun: &'static str, args: &[&str]| {
        dev.json(&[&[noun, "--project", project], args].concat())
    };
    let account = on("service-account", &["create", "--name", "worker"]);
    let id = account["id"].as_str().unwrap();
    assert!(
        account["api_key"]["value"]
            .as_str()
            .unwrap()
            .starts_with("sk-svcacct-")
    );
    let keyless = on("service-account", &["create", "--name", "idle", "--no-key"]);
    assert_eq!(keyless["api_key"], Value::Null);
    assert_eq!(on("service-account", &["retrieve", id])["name"], "worker");
    let update = on("service-account", &["update", id, "--role", "owner"]);
    assert_eq!(update["role"], "owner");
    let second = on("service-account", &["create-key", id, "--name", "second"]);
    let second = second["id"].as_str().unwrap();
    assert_eq!(on("api-key", &["retrieve", second])["name"], "second");
    assert_eq!(ids(&on("api-key", &["list"])).len(), 2);
    assert_eq!(on("api-key", &["delete", second, "--yes"])["deleted"], true);
    assert_eq!(
        on("service-account", &["delete", id, "--yes"])["deleted"],
        true
    );
    assert_eq!(ids(&on("service-account", &["list"])).len(), 1);
    assert_eq!(on("api-key", &["list"]), json!([]));

    let archived = dev.json(&["project", "archive", project, "--yes"]);
    assert_eq!(archived["status"], "archived");
    assert!(!ids(&dev.json(&["project", "list"])).contains(&project));
    let all = dev.json(&["project", "list", "--include-archived"]);
    assert!(ids(&all).contains(&project));
}

#[test]
fn an_admin_key_may_do_no_more_than_it_was_made_for() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let made = dev.json(&[
        "admin-key",
        "create",
        "--name",
        "auditor",
        "--scopes",
        "api.audit.read",
    ]);
    let (id, value) = (
        made["id"].as_str().unwrap(),
        made["value"].as_str().unwrap(),
    );
    std::fs::write(directory.path().join("key"), format!("{value}\n")).unwrap();
    let as_auditor = |args: &[&str]| {
        let all = [args, &["--admin-key-file", "key"]].concat();
        dev.command(&all).output().unwrap()
    };
    assert!(as_auditor(&["audit-log", "list"]).status.success());
    let refused = as_auditor(&["certificate", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("missing_scope"));
    let shown = dev.json(&["admin-key", "retrieve", id]);
    assert_eq!(shown.get("value"), None, "a key is shown once");
    assert!(ids(&dev.json(&["admin-key", "list"])).contains(&id));
    dev.json(&["admin-key", "delete", id, "--yes"]);
    assert_eq!(as_auditor(&["audit-log", "list"]).status.code(), Some(1));
}

#[test]
fn the_audit_log_is_filtered_by_type_and_resource_and_followed() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("watched");
    let events = |args: &[&str]| dev.json(&[&["audit-log", "list"], args].concat());
    let created = events(&["--type", "certificate.created"]);
    assert_eq!(created[0]["certificate.created"]["id"], id.as_str());
    assert_eq!(created.as_array().unwrap().len(), 1);
    assert_eq!(events(&["--resource", &id]), created);
    assert_eq!(events(&["--resource", "cert_other"]), json!([]));
    assert_eq!(events(&["--until", "1970-01-02T00:00:00Z"]), json!([]));
    assert_eq!(events(&["--limit", "1"]).as_array().unwrap().len(), 1);

    let args = [
        "audit-log",
        "list",
        "--follow",
        "--interval",
        "1",
        "-o",
        "jsonl",
    ];
    let mut follower = Running::start(dev.command(&args));
    follower.wait_for(|line| line.contains("certificate.created"));
    dev.json(&["certificate", "update", &id, "--name", "renamed"]);
    let printed = follower.wait_for(|line| line.contains("certificate.updated"));
    assert_eq!(
        printed.lines().count(),
        1,
        "an event is printed once: {printed}"
    );
}

#[test]
fn what_a_certificate_is_used_for() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("anchor");
    let retrieved = dev.json(&["certificate", "retrieve", &id, "--usage"]);
    assert_eq!(
        retrieved["usage"],
        json!({ "last_used": null, "scopes": [] })
    );
    dev.json(&["certificate", "activate", &id, "--wait"]);
    let gateway = dev.env["COUNTERSIGN_GATEWAY_URL"].clone();
    dev.json(&["certificate", "list", "--base-url", &gateway]);
    // The gateway reports what it saw a little later.
    let limit = Instant::now() + Duration::from_secs(20);
    let uses = loop {
        let uses = dev.json(&["certificate", "usage", &id]);
        if uses != json!([]) {
            break uses;
        }
        assert!(Instant::now() < limit, "no use was reported");
    };
    assert_eq!(uses[0]["leaf"]["subject"], "CN=dev-client");
    assert_eq!(uses[0]["active_at_project_id"], Value::Null);
    let list = dev.json(&["certificate", "list", "--usage"]);
    let scope = &list[0]["usage"]["scopes"][0];
    assert_eq!(
        (&scope["project_id"], &scope["leaves"]["days_1"]),
        (&Value::Null, &json!(1))
    );
    for args in [
        &["certificate", "list", "--usage", "-o", "table"][..],
        &["certificate", "retrieve", &id, "--usage", "-o", "table"],
        &["certificate", "usage", &id, "-o", "table"],
    ] {
        let shown = dev.command(args).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.contains("ACTIVE AT") && shown.contains("organization"),
            "{shown}"
        );
        assert!(shown.contains("1 / 1 / 1"), "{shown}");
    }
}

#[test]
fn a_webhook() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let made = dev.json(&["webhook", "create", "http://127.0.0.1:9/hook"]);
    let id = made["id"].as_str().unwrap();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let shown = dev.json(&["webhook", "retrieve", id]);
    assert_eq!((&shown["url"], shown.get("secret")), (&made["url"], None));
    assert_eq!(dev.json(&["webhook", "list"]), json!([shown]));
    dev.json(&["webhook", "test", id]);
    let printed = dev.json(&["webhook", "deliveries", id, "--order", "asc"]);
    let types: Vec<_> = printed
        .as_array()
        .unwrap()
        .iter()
        .map(|each| &each["type"])
        .collect();
    assert_eq!(types, ["organization.updated", "webhook.tested"]);
    assert_eq!(
        dev.json(&["webhook", "delete", id, "--yes"])["deleted"],
        true
    );
    assert_eq!(dev.json(&["webhook", "list"]), json!([]));
}

#[test]
fn what_expires_is_listed_and_sets_the_exit_code() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let exit = |args: &[&str]| {
        let ran = dev
            .command(&[&["expiring", "--exit-code"], args].concat())
            .output();
        ran.unwrap().status.code()
    };
    assert_eq!(exit(&["--within", "30d"]), Some(0));
    let log = dev.json(&["audit-log", "list", "--limit", "1"]);
    let now = log[0]["effective_at"].as_i64().unwrap();
    let day = 24 * 60 * 60;
    let soon = countersign_testca::root("Soon")
        .valid(now - day, now + 20 * day)
        .mint();
    std::fs::write(directory.path().join("soon.pem"), soon.pem()).unwrap();
    let id = dev.json(&["certificate", "upload", "soon.pem", "--name", "soon"])["id"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(exit(&["--within", "30d"]), Some(0), "it is active nowhere");
    dev.json(&["certificate", "activate", id]);
    let listed = dev.json(&["expiring"]);
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["id"]),
        (&json!("anchor"), &json!(id))
    );
    assert_eq!(exit(&["--within", "30d"]), Some(3));
    assert_eq!(exit(&["--within", "19"]), Some(0));
    assert_eq!(exit(&["--within", "soon"]), Some(2));
}
