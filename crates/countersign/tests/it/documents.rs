//! The documents: the shell blocks of each are run as they stand, in their order, beside a fresh `dev`
//! of its own. Those that pages of their own tests run are not here again.

use tempfile::tempdir;

use crate::{
    readme::{blocks, run},
    running::Dev,
};

/// A page, and what its commands print.
struct Page {
    text: &'static str,
    prints: &'static [&'static str],
}

macro_rules! page {
    ($name:literal, $prints:expr) => {
        Page {
            text: include_str!(concat!("../../../../docs/", $name)),
            prints: &$prints,
        }
    };
}

fn check(page: &Page) {
    check_beside(page, &[]);
}

/// The same, beside a `dev` that is started so.
fn check_beside(page: &Page, flags: &[&str]) {
    let directory = tempdir().unwrap();
    let data = directory.path().join("countersign-data");
    let started = [&["--data-dir", data.to_str().unwrap()], flags].concat();
    let _dev = Dev::start_with(&started, &data);
    let printed = run(&blocks(page.text).join("\n"), directory.path());
    for text in page.prints {
        assert!(printed.contains(text), "{text}: {printed}");
    }
}

#[test]
fn audit() {
    check(&page!("audit.md", ["\"intact\": true"]));
}

#[test]
fn backup() {
    check(&page!("backup.md", ["\"broken_audit_logs\": []"]));
}

#[test]
fn cli() {
    check(&page!(
        "cli.md",
        ["\"verdict\": \"permit\"", "\"acceptable\": true"]
    ));
}

#[test]
fn configuration() {
    check(&page!("configuration.md", ["\"serve.listen\""]));
}

#[test]
fn connect() {
    check(&page!(
        "connect.md",
        ["\"passes\": true", "\"object\": \"echo\""]
    ));
}

#[test]
fn declared_state() {
    check(&page!(
        "declared-state.md",
        [
            "+ upload      mesh: mesh.pem",
            ": mesh\n",
            "to do: 1 upload, 1 activate",
            "\"changes\": []",
        ]
    ));
}

#[test]
fn gateway() {
    check(&page!(
        "gateway.md",
        ["\"name\": \"edge\"", "\"gateway's control plane\""]
    ));
}

#[test]
fn policy() {
    check(&page!("policy.md", ["\"verdict\": \"permit\""]));
}

#[test]
fn receipts() {
    let page = page!(
        "receipts.md",
        [
            ": verified",
            "\"verified\": true",
            "FAILS",
            "UNPROVEN",
            "exit code 1",
        ]
    );
    check_beside(&page, &["--receipts"]);
}

#[test]
fn webhooks() {
    check(&page!("webhooks.md", ["\"secret\": \"whsec_"]));
}

#[test]
fn workload_identity() {
    check(&page!(
        "workload-identity.md",
        [
            "\"issues\": true",
            "\"x-countersign-service-account\": \"svc_acct_"
        ]
    ));
}
