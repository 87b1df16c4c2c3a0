//! What a mistake gets: a message that says what is wrong, what to do, and the exit code.

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{
    running::{Dev, countersign},
    shell::seen,
};

/// Nobody listens on the discard port of a loopback address that is not in use.
const NOBODY: &str = "http://127.0.0.1:9/v1";

#[test]
fn without_a_server() {
    for (name, args) in [
        ("verb", vec!["certificate", "lst"]),
        ("no_verb", vec!["certificate"]),
        ("id", vec!["certificate", "retrieve", "proj_abc"]),
        ("no_ids", vec!["certificate", "activate"]),
        ("format", vec!["certificate", "list", "-o", "xml"]),
        ("no_key", vec!["certificate", "list"]),
        ("no_project", vec!["api-key", "list"]),
        ("no_change", vec!["service-account", "update", "svc_acct_a"]),
        (
            "policy_twice",
            vec![
                "certificate",
                "set-policy",
                "cert_a",
                "--none",
                "--policy",
                "true",
            ],
        ),
        (
            "role",
            vec!["service-account", "update", "svc_acct_a", "--role", "king"],
        ),
        ("limit", vec!["project", "list", "--limit", "0"]),
        ("time", vec!["audit-log", "list", "--since", "yesterday"]),
        (
            "key_file",
            vec!["certificate", "list", "--admin-key-file", "/nowhere/key"],
        ),
    ] {
        assert_snapshot!(format!("mistake_{name}"), seen(countersign(&args)));
    }
}

#[test]
fn nobody_listens() {
    let mut command = countersign(&["certificate", "list"]);
    command
        .env("OPENAI_ADMIN_KEY", "sk-admin-x")
        .env("OPENAI_BASE_URL", NOBODY);
    assert_snapshot!(seen(command));
}

#[test]
fn with_a_server() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("dev-ca");
    let leaf = dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"].clone();
    let key = dev.env["OPENAI_MTLS_CLIENT_KEY_FILE"].clone();
    std::fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
    for (name, args) in [
        ("leaf", vec!["certificate", "upload", &leaf]),
        ("private_key", vec!["certificate", "upload", &key]),
        ("no_file", vec!["certificate", "upload", "nowhere.pem"]),
        ("binary", vec!["certificate", "upload", "binary"]),
        ("unknown", vec!["certificate", "retrieve", "cert_unknown"]),
        ("unasked", vec!["certificate", "delete", &id]),
        (
            "policy",
            vec![
                "certificate",
                "set-policy",
                &id,
                "--policy",
                "subject.comon_name == 'a'",
            ],
        ),
        (
            "archived_unknown",
            vec!["project", "archive", "proj_unknown", "--yes"],
        ),
    ] {
        assert_snapshot!(format!("refused_{name}"), seen(dev.command(&args)));
    }
    dev.json(&["certificate", "activate", &id]);
    let args = ["certificate", "delete", &id, "--yes"];
    assert_snapshot!("refused_in_use", seen(dev.command(&args)));
    let mut wrong = dev.command(&["certificate", "list"]);
    wrong.env("OPENAI_ADMIN_KEY", "sk-admin-wrong");
    assert_snapshot!("refused_key", seen(wrong));
    let mut project_key = dev.command(&["certificate", "list"]);
    project_key.env("OPENAI_ADMIN_KEY", &dev.env["OPENAI_API_KEY"]);
    assert_eq!(project_key.output().unwrap().status.code(), Some(1));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let program = env!("CARGO_BIN_EXE_countersign");
    let mut shell = std::process::Command::new("sh");
    shell.envs(&dev.env).args([
        "-c",
        "\"$1\" completions bash | true; \"$1\" audit-log list -o jsonl | head -n 1",
        "sh",
        program,
    ]);
    let ran = shell.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 1);
}
