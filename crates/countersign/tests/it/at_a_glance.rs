//! `status`, and the latest refusals.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{running::Dev, shell::seen};

/// Sends a request without a certificate; the id of its refusal.
fn refused(dev: &Dev) -> String {
    let url = format!("{}/hello", dev.env["COUNTERSIGN_GATEWAY_URL"]);
    let key = format!("Authorization: Bearer {}", dev.env["OPENAI_API_KEY"]);
    let ca = &dev.env["COUNTERSIGN_SERVER_CA"];
    let args = [
        "-s",
        "--cacert",
        ca,
        "-H",
        &key,
        "-D",
        "-",
        "-o",
        "/dev/null",
        &url,
    ];
    let ran = Command::new("curl").args(args).output().unwrap();
    let head = String::from_utf8(ran.stdout).unwrap();
    let id = head
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    id.unwrap().trim().to_owned()
}

/// What a command prints as JSON, once it says so.
fn until(dev: &Dev, args: &[&str], so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let printed = dev.json(args);
        if so(&printed) {
            return printed;
        }
    }
}

#[test]
fn refusals_are_listed_and_the_latest_explained_also_after_a_restart() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("mesh");
    dev.json(&[
        "certificate",
        "activate",
        "mesh",
        "--project",
        "dev",
        "--wait",
    ]);
    let ids = [refused(&dev), refused(&dev)];
    let listed = until(&dev, &["explain"], |list| list[0]["requests"] == 2);
    assert_eq!(listed[0]["code"], "certificate_required");
    assert_eq!(listed[0]["request_id"], ids[1].as_str());
    let last = dev.json(&["explain", "--last"]);
    assert_eq!(last["request_id"], ids[1].as_str());
    assert_eq!(
        last["trace"][0]["message"],
        "the client presented no certificate"
    );
    assert_eq!(
        dev.json(&["explain", &ids[0]])["code"],
        "certificate_required"
    );

    dev.stop();
    let dev = Dev::start(directory.path());
    let listed = dev.json(&["explain"]);
    assert_eq!(listed[0]["requests"], 2);
    assert_eq!(listed[0].get("request_id"), None);
    assert_eq!(
        dev.json(&["explain", "--last"])["code"],
        "certificate_required"
    );
}

#[test]
fn explain_claims_nothing_of_what_it_could_not_ask() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let explain = |more: &[&str], env: &[(&str, &str)]| {
        let mut command = dev.command(&[&["explain"], more].concat());
        command.envs(env.iter().copied());
        seen(command)
    };
    let wrong_key = [("OPENAI_ADMIN_KEY", "sk-admin-wrong")];
    let no_gateway = [("COUNTERSIGN_GATEWAY_ADMIN_URL", "http://127.0.0.1:9")];
    let nonsense = [("COUNTERSIGN_GATEWAY_ADMIN_URL", "nonsense")];
    let refused_key = "the control plane refused this key: ";
    for (env, why) in [
        (&wrong_key, refused_key),
        (&no_gateway, "cannot reach the gateway's admin listener"),
        (&nonsense, "`nonsense` is not an `http://` URL"),
    ] {
        for more in [&[][..], &["--last"]] {
            let said = explain(more, env);
            assert!(said.starts_with("exit 1\n--- stderr"), "{said}");
            assert!(said.contains(&format!("error: {why}")), "{said}");
            assert!(!said.contains("no request was refused"), "{said}");
        }
    }
    assert!(explain(&[], &[]).contains("no request was refused lately"));

    dev.upload("mesh");
    let activate = ["certificate", "activate", "mesh", "--project", "dev"];
    dev.json(&[&activate[..], &["--wait"]].concat());
    refused(&dev);
    // The gateway has it at once, the control plane when it is told.
    while explain(&[], &no_gateway).starts_with("exit 1") {}
    let said = explain(&[], &wrong_key);
    assert!(said.starts_with("exit 0"), "{said}");
    assert!(said.contains(&format!("warning: {refused_key}")), "{said}");
    let said = explain(&[], &no_gateway);
    assert!(said.contains("warning: cannot reach"), "{said}");
    assert!(
        said.contains("no gateway could be asked for more of it"),
        "{said}"
    );
}

#[test]
fn status_shows_what_is_active_where_and_what_is_refused() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let old = dev.upload("old");
    dev.upload("new");
    dev.json(&[
        "certificate",
        "activate",
        "old",
        "--project",
        "dev",
        "--wait",
    ]);
    dev.json(&["rotation", "start", "old", "new", "--report", "--wait"]);
    refused(&dev);
    let status = until(&dev, &["status"], |status| status["refusals"] != json!([]));
    let active = status["active"].as_array().unwrap();
    let shown: Vec<_> = active
        .iter()
        .map(|each| [&each["project"], &each["certificate"], &each["enforcement"]])
        .collect();
    assert_eq!(shown.len(), 2, "{status}");
    assert!(shown.contains(&[&json!("dev"), &json!("new"), &json!("report")]));
    assert_eq!(status["gateways"][0]["current"], true);
    assert_eq!(status["rotations"][0]["new_certificate"], "new");
    assert_eq!(status["rotations"][0]["old_certificate_id"], old.as_str());
    assert_eq!(status["refusals"][0]["project"], "dev");
    let table = dev.command(&["status", "-o", "table"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for said in [
        "active: 2",
        "up to date",
        "rotations under way: 1",
        "no certificate",
    ] {
        assert!(table.contains(said), "{said}: {table}");
    }
}

#[test]
fn dev_says_each_request_in_a_line_and_how_to_explain_a_refusal() {
    let directory = tempdir().unwrap();
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let mut dev = crate::running::countersign(&["dev", "--listen", "127.0.0.1:0", "--memory"]);
    dev.args(["--data-dir", directory.path().to_str().unwrap()]);
    dev.args(["--log-format", "human"]);
    dev.stderr(log);
    let dev = Dev::started(dev, directory.path());
    dev.upload("mesh");
    dev.json(&[
        "certificate",
        "activate",
        "mesh",
        "--project",
        "dev",
        "--wait",
    ]);
    let id = refused(&dev);
    let wanted = "GET /v1/hello  401 certificate_required   ";
    loop {
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        if let Some(line) = log.lines().find(|line| line.contains(wanted)) {
            assert!(line.ends_with(&format!("explain {id}")), "{line}");
            assert!(
                log.contains("POST /v1/organization/certificates  200"),
                "{log}"
            );
            assert!(!log.contains("/v1/countersign/"), "{log}");
            assert!(!log.contains("expires soon"), "{log}");
            return;
        }
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag() {
    let directory = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = directory.path().to_str().unwrap();
    let args = [
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--operator-listen",
        &address,
        "--data-dir",
        data,
    ];
    let said = crate::running::countersign(&args).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("`--operator-listen`"), "{said}");
}
