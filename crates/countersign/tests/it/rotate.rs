//! `countersign rotation`, and the page about it: every command in it is run, in its order.

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{
    readme::{blocks, run},
    running::Dev,
    shell::seen,
};

const PAGE: &str = include_str!("../../../../docs/rotate.md");

#[test]
fn the_pages_commands_work_as_they_stand() {
    let blocks = blocks(PAGE);
    assert_eq!(blocks.len(), 7, "shell blocks of the page");
    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    let printed = run(&blocks.join("\n"), directory.path());
    for (text, times) in [
        ("\"x-countersign-certificate\"", 3),
        ("\"certificate_verification_failed\"", 2),
        ("\"status\": \"finished\"", 2),
        ("\"status\": \"aborted\"", 2),
        ("\"certificate.deleted\"", 1),
        ("would be refused (certificate_verification_failed): CN=", 1),
        ("2 workloads seen since", 1),
    ] {
        assert_eq!(printed.matches(text).count(), times, "{text}: {printed}");
    }
}

#[test]
fn what_stands_in_the_way_is_named() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let old = dev.upload("old");
    let new = {
        let pem = countersign_testca::root("New").mint().pem();
        std::fs::write(directory.path().join("new.pem"), pem).unwrap();
        let made = dev.json(&["certificate", "upload", "new.pem", "--name", "new"]);
        made["id"].as_str().unwrap().to_owned()
    };
    let rotation = |args: &[&str]| {
        let all = [&["rotation"], args, &["-o", "table"]].concat();
        seen(dev.command(&all))
    };
    assert_snapshot!("rotation_none", rotation(&["status"]));
    assert_snapshot!("rotation_idle", rotation(&["start", &old, &new]));
    dev.json(&["certificate", "activate", &old]);
    assert_snapshot!(
        "rotation_start",
        rotation(&["start", &old, &new, "--report"])
    );
    assert_snapshot!("rotation_second", rotation(&["start", &old, &new]));
    assert_snapshot!(
        "rotation_status",
        rotation(&["status", "--seen-within", "7d"])
    );
    assert_snapshot!("rotation_unknown", rotation(&["finish"]));
    assert_snapshot!(
        "rotation_time",
        rotation(&["finish", "--seen-within", "soon"])
    );
    dev.json(&["certificate", "deactivate", &new]);
    assert_snapshot!("rotation_broken", rotation(&["finish", "--force"]));
    assert_snapshot!("rotation_abort", rotation(&["abort"]));
}
