//! `-o`: the same data in each format.

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{running::Dev, shell::seen};

#[test]
fn a_list_and_one_thing_in_each_format() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("dev-ca");
    let upload = ["certificate", "upload", "--allow-duplicate"];
    dev.json(&[&upload[..], &[&dev.env["COUNTERSIGN_CLIENT_CA"]]].concat());
    for format in ["table", "json", "jsonl", "yaml"] {
        let list = dev.command(&["certificate", "list", "-o", format]);
        assert_snapshot!(format!("list_{format}"), seen(list));
        let one = dev.command(&["certificate", "retrieve", &id, "-o", format]);
        assert_snapshot!(format!("one_{format}"), seen(one));
    }
    let piped = dev.command(&["certificate", "list"]).output().unwrap();
    let json = dev
        .command(&["certificate", "list", "-o", "json"])
        .output()
        .unwrap();
    assert_eq!(piped.stdout, json.stdout, "a pipe gets JSON");
}

#[test]
fn an_empty_list_is_an_empty_list() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    for (format, wanted) in [
        ("json", "[]\n"),
        ("jsonl", ""),
        ("yaml", "[]\n"),
        ("table", ""),
    ] {
        let ran = dev
            .command(&["certificate", "list", "-o", format])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), wanted, "{format}");
        // People are told that there are none, and programs see it.
        let said = if format == "table" {
            "no certificates\n"
        } else {
            ""
        };
        assert_eq!(String::from_utf8(ran.stderr).unwrap(), said, "{format}");
    }
}

#[test]
fn other_nouns_as_tables() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    for noun in [
        "project",
        "service-account",
        "api-key",
        "admin-key",
        "audit-log",
    ] {
        let list = dev.command(&[noun, "list", "-o", "table"]);
        assert_snapshot!(format!("table_{noun}"), seen(list));
    }
}

#[test]
fn on_a_terminal_it_is_a_table_and_deleting_asks() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("asked-about");
    let program = env!("CARGO_BIN_EXE_countersign");
    let at_terminal = |line: &str, answer: &str| {
        let mut script = std::process::Command::new("script");
        script.envs(&dev.env).args(["-qec", line, "/dev/null"]);
        script
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = script.spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
        let ran = child.wait_with_output().unwrap();
        (
            ran.status.code(),
            String::from_utf8_lossy(&ran.stdout).into_owned(),
        )
    };
    let (_, table) = at_terminal(&format!("{program} certificate list"), "");
    assert!(
        table.contains("NAME ") && table.contains("asked-about"),
        "{table}"
    );
    let delete = format!("{program} certificate delete {id}");
    let (code, printed) = at_terminal(&delete, "n\n");
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("[y/N]") && printed.contains("nothing was changed"),
        "{printed}"
    );
    let (code, printed) = at_terminal(&delete, "y\n");
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(dev.json(&["certificate", "list"]), serde_json::json!([]));
}
