//! `countersign certificate inspect` on files that `openssl` made.

use std::{path::Path, process::Command};

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{
    running::countersign,
    shell::{seen, steady},
};

/// A CA and a leaf under it, as the documentation has people make them.
fn openssl(directory: &Path) {
    let script = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 \
  -subj "/O=Example/CN=Example CA" -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj "/CN=worker"
printf 'basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' > ext
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -days 30 \
  -out leaf.pem
openssl x509 -in ca.pem -outform der -out ca.der
openssl req -x509 -newkey rsa:2048 -nodes -keyout day.key -out day.pem -days 1 -subj /CN=day \
  -addext keyUsage=critical,keyCertSign
head -n 5 ca.pem > cut.pem
"#;
    let ran = Command::new("sh")
        .args(["-euc", script])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn each_file_is_recognized() {
    let directory = tempdir().unwrap();
    openssl(directory.path());
    for (file, accepted) in [
        ("ca.pem", true),
        ("leaf.pem", false),
        ("ca.key", false),
        ("ca.der", false),
        ("leaf.csr", false),
        ("cut.pem", false),
        ("day.pem", false),
        ("nowhere.pem", false),
    ] {
        let mut command = countersign(&["certificate", "inspect", file, "-o", "table"]);
        command.current_dir(directory.path());
        let printed = without_serial(&seen(command));
        assert_eq!(printed.starts_with("exit 0\n"), accepted, "{printed}");
        assert_snapshot!(format!("inspect_{file}"), printed);
    }
}

#[test]
fn machines_get_the_same_as_json() {
    let directory = tempdir().unwrap();
    openssl(directory.path());
    let mut command = countersign(&["certificate", "inspect", "ca.pem"]);
    let ran = command.current_dir(directory.path()).output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(printed["acceptable"], true);
    assert_eq!(printed["certificate"]["ca"], true);
    let mut command = countersign(&["certificate", "inspect", "leaf.pem"]);
    let ran = command.current_dir(directory.path()).output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(printed["reasons"][0]["code"], "mtls_certificate_invalid");
    assert!(!steady(&printed.to_string()).contains("BEGIN"));
}

/// A serial number is random each time.
fn without_serial(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("serial ") {
        Some(_) => "serial [serial]".to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
