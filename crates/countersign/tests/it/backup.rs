//! Backups: taken while a server writes, and put in place of a database that is lost.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;
use tempfile::tempdir;

use crate::running::{Dev, countersign};

/// Runs a command on the database in a directory. Its exit code, what it printed, and what it said.
fn on(directory: &Path, args: &[&str]) -> (i32, Value, String) {
    let mut command = countersign(args);
    command.args(["-o", "json", "--data-dir", directory.to_str().unwrap()]);
    let ran = command.output().unwrap();
    let printed = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    (
        ran.status.code().unwrap(),
        printed,
        String::from_utf8(ran.stderr).unwrap(),
    )
}

fn names(dev: &Dev) -> Vec<String> {
    let all = dev.json(&["certificate", "list"]);
    let names = all.as_array().unwrap().iter();
    names
        .map(|each| each["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_backup_of_a_running_server_brings_back_what_there_was() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("backup.db");
    let path = file.to_str().unwrap();
    let dev = Dev::start(&data);
    dev.upload("before");
    let (code, made, said) = on(&data, &["backup", path]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(made["organizations"], 1);
    assert_eq!(made["broken_audit_logs"], serde_json::json!([]));
    assert_eq!(made["bytes"], fs::metadata(&file).unwrap().len());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    dev.upload("after");
    let now = names(&dev);
    assert!(now.contains(&"after".to_owned()));

    // Neither a file nor a database is written over.
    let (code, _, said) = on(&data, &["backup", path]);
    assert!(code == 2 && said.contains("exists already"), "{said}");
    let (code, _, said) = on(&data, &["restore", path]);
    assert!(code == 2 && said.contains("pass `--replace`"), "{said}");
    // Nor is one taken away from under a server.
    let (code, _, said) = on(&data, &["restore", "--replace", path]);
    assert!(
        code == 1 && said.contains("stop `countersign serve` first"),
        "{said}"
    );
    assert_eq!(names(&dev), now);

    assert!(dev.stop().success());
    let (code, restored, said) = on(&data, &["restore", "--replace", path]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("what was revoked since is valid again"),
        "{said}"
    );
    assert_eq!(restored["revision"], made["revision"]);
    let dev = Dev::start(&data);
    let then = names(&dev);
    assert!(
        then.contains(&"before".to_owned()) && !then.contains(&"after".to_owned()),
        "{then:?}"
    );
    assert!(dev.stop().success());

    // What was replaced is kept, whole.
    let kept = restored["replaced"].as_str().unwrap();
    let (code, again, said) = on(&data, &["restore", "--replace", kept]);
    assert_eq!(code, 0, "{said}");
    assert!(again["revision"].as_u64() > made["revision"].as_u64());
    let dev = Dev::start(&data);
    assert_eq!(names(&dev), now);
}

#[test]
fn a_backup_replaces_a_database_that_is_lost_or_damaged() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("backup.db");
    let path = file.to_str().unwrap();
    let (code, ..) = on(&data, &["organization", "create", "--name", "acme"]);
    assert_eq!(code, 0);
    assert_eq!(on(&data, &["backup", path]).0, 0);
    let organizations = || on(&data, &["organization", "list"]).1;
    let had = organizations();

    fs::write(data.join("countersign.db"), "what a broken disk left").unwrap();
    let (code, _, said) = on(&data, &["restore", "--replace", path]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(organizations(), had);
    fs::remove_dir_all(&data).unwrap();
    let (code, _, said) = on(&data, &["restore", path]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(organizations(), had);
    let left: Vec<_> = fs::read_dir(&data).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_no_backup_changes_nothing_and_is_said() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let (code, _, said) = on(&data, &["backup", "x.db"]);
    assert!(code == 2 && said.contains("there is no database"), "{said}");
    assert_eq!(
        on(&data, &["organization", "create", "--name", "acme"]).0,
        0
    );
    let (code, _, said) = on(&data, &["backup", "/nowhere/x.db"]);
    assert!(code == 1 && said.contains("`mkdir -p /nowhere`"), "{said}");
    fs::remove_dir_all(&data).unwrap();
    let (code, _, said) = on(&data, &["restore", "nowhere.db"]);
    assert!(code == 2 && said.contains("there is no file"), "{said}");

    let other = directory.path().join("other.db");
    for (what, says) in [
        ("no database at all", "is not a backup of this program"),
        ("", "is not a backup of this program"),
    ] {
        fs::write(&other, what).unwrap();
        let (code, _, said) = on(&data, &["restore", other.to_str().unwrap()]);
        assert!(code == 2 && said.contains(says), "{what}: {said}");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "{what}");
    }
    let args = [
        "backup",
        "x.db",
        "--database-url",
        "postgres://127.0.0.1:1/x",
    ];
    let said = countersign(&args).output().unwrap().stderr;
    assert!(String::from_utf8(said).unwrap().contains("pg_dump"));
}
