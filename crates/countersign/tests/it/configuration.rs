//! `countersign config`, and a configuration that is wrong.

use std::fs;

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::{running::countersign, shell::seen};

const FILE: &str = r#"
data_dir = "/srv/countersign"
database_url = "postgres://u:hunter2@db/countersign"

[serve]
listen = "127.0.0.1:9000"
drain_seconds = 5

[log]
format = "json"
"#;

fn with_file(text: &str, args: &[&str]) -> String {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("c.toml"), text).unwrap();
    let mut command = countersign(args);
    command.current_dir(directory.path());
    command.env("COUNTERSIGN_CONFIG", "c.toml");
    command.env("COUNTERSIGN_LOG_LEVEL", "debug");
    command.env("COUNTERSIGN_LOG_LEVLE", "debug");
    seen(command)
}

#[test]
fn check_says_where_each_value_comes_from_and_print_shows_no_secret() {
    assert_snapshot!(
        "config_check",
        with_file(FILE, &["config", "check", "-o", "table"])
    );
    assert_snapshot!("config_print", with_file(FILE, &["config", "print"]));
}

#[test]
fn what_print_writes_is_a_file_that_check_takes() {
    let directory = tempdir().unwrap();
    let printed = countersign(&["config", "print"]).output().unwrap();
    let path = directory.path().join("c.toml");
    fs::write(&path, printed.stdout).unwrap();
    let args = ["config", "check", "--config", path.to_str().unwrap()];
    let checked = countersign(&args).output().unwrap();
    assert!(checked.status.success());
}

#[test]
fn a_file_of_the_usual_name_is_found_in_the_working_directory() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("countersign.toml"), "nonsense = 1").unwrap();
    let mut command = countersign(&["config", "check"]);
    command.current_dir(directory.path());
    assert_snapshot!(seen(command));
}

#[test]
fn an_error_names_its_key_and_line() {
    for (name, file) in [
        ("key", "[serve]\n\nlisten_adress = \"127.0.0.1:1\""),
        ("value", "[serve]\nlisten = \"localhost:1\""),
        ("half_tls", "[serve]\ntls_key = \"k.pem\""),
        ("syntax", "[serve\n"),
        ("database", "database_url = \"mysql://u:hunter2@h/d\""),
    ] {
        for args in [["config", "check"], ["organization", "list"]] {
            let printed = with_file(file, &args);
            assert!(!printed.contains("hunter2"), "{printed}");
            if args[0] == "config" {
                assert_snapshot!(format!("config_wrong_{name}"), printed);
            } else {
                assert!(printed.starts_with("exit 2\n"), "{printed}");
            }
        }
    }
    let missing = countersign(&["serve", "--config", "/nowhere/c.toml"]);
    assert_snapshot!("config_missing", seen(missing));
}

#[test]
fn the_packaged_configuration_is_good_also_with_what_it_suggests() {
    let packaged = include_str!("../../../../packaging/debian/countersign.toml");
    let suggested: String = packaged
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(packaged, suggested);
    for text in [packaged, &suggested] {
        let directory = tempdir().unwrap();
        fs::write(directory.path().join("database-url"), "postgres://h/d").unwrap();
        let url = directory.path().join("database-url");
        let text = text.replace("/etc/countersign/database-url", url.to_str().unwrap());
        fs::write(directory.path().join("c.toml"), text).unwrap();
        let mut command = countersign(&["config", "check", "--config", "c.toml"]);
        let ran = command.current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.success(), "{said}");
    }
}
