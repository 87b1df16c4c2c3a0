//! `countersign doctor`: a line for each thing, and an exit code.

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{
    running::{Dev, countersign},
    shell::seen,
};

#[test]
fn all_is_well_beside_a_dev_server() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let text = directory.path().to_str().unwrap();
    let args = ["doctor", "-o", "table", "--data-dir", text];
    let printed = seen(dev.command(&args));
    assert_snapshot!(printed.replace("are 1 s apart", "are 0 s apart"));
    let checks = dev.json(&["doctor", "--data-dir", text]);
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["status"] == "ok")
    );
}

#[test]
fn each_problem_is_named() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let ca = dev.env["COUNTERSIGN_CLIENT_CA"].clone();
    let args = ["doctor", "-o", "table", "--data-dir", "/dev/null/x"];
    let mut wrong = dev.command(&args);
    wrong.env("OPENAI_ADMIN_KEY", "sk-admin-wrong");
    wrong.env("OPENAI_MTLS_CLIENT_CERT_FILE", ca);
    wrong.env("COUNTERSIGN_SERVE_LISTEN", "nonsense");
    assert_snapshot!("doctor_wrong", seen(wrong));

    let mut nobody = countersign(&["doctor", "-o", "table", "--data-dir", "/nowhere"]);
    nobody.env("OPENAI_ADMIN_KEY", "sk-admin-x");
    nobody.env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    assert_snapshot!("doctor_nobody", seen(nobody));

    let bare = countersign(&["doctor", "-o", "table", "--data-dir", "/nowhere"]);
    assert_snapshot!("doctor_bare", seen(bare));
}

#[test]
fn a_key_with_few_permissions_is_shown_what_it_can_read() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let made = dev.json(&[
        "admin-key",
        "create",
        "--name",
        "a",
        "--scopes",
        "api.audit.read",
    ]);
    let mut command = dev.command(&["doctor", "-o", "table", "--data-dir", "/nowhere"]);
    command.env("OPENAI_ADMIN_KEY", made["value"].as_str().unwrap());
    let printed = seen(command);
    assert!(
        printed.contains("ok    key: the key is valid and has `api.audit.read`;"),
        "{printed}"
    );
}
