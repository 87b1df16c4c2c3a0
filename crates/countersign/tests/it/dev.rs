//! `countersign dev`: what it leaves on disk, and that it finds it again.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use tempfile::tempdir;

use crate::{
    running::{Dev, Running, countersign, read_env},
    shell::seen,
};

const VARIABLES: [&str; 10] = [
    "COUNTERSIGN_CLIENT_CA",
    "COUNTERSIGN_GATEWAY_ADMIN_URL",
    "COUNTERSIGN_GATEWAY_URL",
    "COUNTERSIGN_SERVER_CA",
    "OPENAI_ADMIN_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MTLS_CLIENT_CERT_FILE",
    "OPENAI_MTLS_CLIENT_KEY_FILE",
    "OPENAI_PROJECT_ID",
];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_leaves_private_files_and_a_complete_env_file() {
    let parent = tempdir().unwrap();
    let directory = parent.path().join("a data dir's");
    let dev = Dev::start(&directory);
    let names: Vec<&str> = dev.env.keys().map(String::as_str).collect();
    assert_eq!(names, VARIABLES);
    assert!(dev.env["OPENAI_BASE_URL"].ends_with("/v1"));
    for name in [
        "COUNTERSIGN_CLIENT_CA",
        "OPENAI_MTLS_CLIENT_CERT_FILE",
        "OPENAI_MTLS_CLIENT_KEY_FILE",
    ] {
        let path = Path::new(&dev.env[name]);
        assert!(path.is_absolute() && path.is_file(), "{name}");
    }
    assert_eq!(mode(&directory), 0o700);
    for file in ["dev.env", "dev-keys.json", "ca.key", "client.key"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
    let halves = fs::read_dir(&directory).unwrap();
    let halves = halves.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".half")
    });
    assert_eq!(halves.count(), 0);
}

#[test]
fn ctrl_c_stops_it_cleanly_and_a_second_start_finds_its_data_and_keys() {
    let directory = tempdir().unwrap();
    let first = Dev::start(directory.path());
    let id = first.upload("kept");
    let before = first.env.clone();
    assert_eq!(first.stop().code(), Some(0));
    assert!(
        !directory.path().join("dev.env").exists(),
        "it would name a dead port"
    );

    let second = Dev::start(directory.path());
    for name in ["OPENAI_ADMIN_KEY", "OPENAI_API_KEY", "OPENAI_PROJECT_ID"] {
        assert_eq!(second.env[name], before[name], "{name}");
    }
    assert_eq!(
        second.json(&["certificate", "retrieve", &id])["name"],
        "kept"
    );
}

#[test]
fn after_a_kill_the_stale_env_file_is_replaced_and_lost_keys_are_made_again() {
    let directory = tempdir().unwrap();
    let first = Dev::start(directory.path());
    let id = first.upload("kept");
    let before = first.env.clone();
    first.process.signal("KILL");
    drop(first);
    assert_eq!(read_env(&directory.path().join("dev.env")), before);
    fs::remove_file(directory.path().join("dev-keys.json")).unwrap();

    let second = Dev::start(directory.path());
    assert_ne!(second.env["OPENAI_ADMIN_KEY"], before["OPENAI_ADMIN_KEY"]);
    assert_eq!(second.env["OPENAI_PROJECT_ID"], before["OPENAI_PROJECT_ID"]);
    assert_eq!(
        second.json(&["certificate", "retrieve", &id])["name"],
        "kept"
    );
}

#[test]
fn two_on_one_directory_is_refused() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let text = directory.path().to_str().unwrap();
    let args = ["dev", "--listen", "127.0.0.1:0", "--data-dir", text];
    insta::assert_snapshot!(seen(countersign(&args)));
    assert_eq!(
        read_env(&directory.path().join("dev.env")),
        dev.env,
        "the first is untouched"
    );
}

#[test]
fn in_memory_nothing_is_kept() {
    let directory = tempdir().unwrap();
    let text = directory.path().to_str().unwrap();
    let args = ["--memory", "--data-dir", text];
    let first = Dev::start_with(&args, directory.path());
    first.upload("gone");
    assert_eq!(first.stop().code(), Some(0));
    let second = Dev::start_with(&args, directory.path());
    assert_eq!(second.json(&["certificate", "list"]), serde_json::json!([]));
    for kept in ["countersign.db", "dev-keys.json"] {
        assert!(!directory.path().join(kept).exists(), "{kept}");
    }
}

#[test]
fn in_memory_without_a_directory_nothing_is_left() {
    let temporary = tempdir().unwrap();
    let mut command = countersign(&["dev", "--memory", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", temporary.path());
    let mut process = Running::start(command);
    process.wait_for(|line| line == "# stop with Ctrl-C");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn others_are_not_served() {
    let args = ["dev", "--listen", "0.0.0.0:0"];
    insta::assert_snapshot!(seen(countersign(&args)));
}

#[test]
fn the_commands_that_it_prints_work_as_they_stand() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let script: String = dev
        .welcome
        .lines()
        .skip(2)
        .filter(|line| !line.starts_with("python3"))
        .map(|line| format!("{line}\n"))
        .collect();
    let ran = Command::new("sh")
        .args(["-eu", "-c", &script])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{stderr}");
    assert_eq!(
        stdout.matches("dev-ca").count(),
        8,
        "uploaded, listed, listed by curl, activated, explained, in the status, deactivated: {stdout}"
    );
    for (text, times) in [
        ("\"object\": \"echo\"", 3),
        ("\"certificate_required\"", 1),
        ("\"certificate_verification_failed\"", 1),
    ] {
        assert_eq!(stdout.matches(text).count(), times, "{text}: {stdout}");
    }
}

#[test]
fn its_client_certificate_chains_to_its_ca() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let verified = Command::new("openssl")
        .args(["verify", "-purpose", "sslclient", "-x509_strict", "-CAfile"])
        .args([
            &dev.env["COUNTERSIGN_CLIENT_CA"],
            &dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"],
        ])
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}
