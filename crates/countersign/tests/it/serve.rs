//! `countersign serve`: how it starts, what it refuses to start with, and how it ends.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::Value;
use tempfile::tempdir;

use crate::{running::countersign, shell::seen};

/// A `countersign serve` whose log tells where it listens.
pub(crate) struct Served {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Served {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut command =
            countersign(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        command.arg("--data-dir").arg(data).args(more);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut served = Self {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            address: String::new(),
        };
        let line = served.wait_for("control plane listening");
        served.address = line["address"].as_str().unwrap().to_owned();
        served
    }

    fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without saying `{message}`");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == message {
                return event;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_key(data: &Path) -> String {
    let mut command = countersign(&["organization", "create", "--name", "acme", "--data-dir"]);
    let made = command.arg(data).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["admin_key"]["value"].as_str().unwrap().to_owned()
}

#[test]
fn it_says_that_it_leaves_before_it_does() {
    let data = tempdir().unwrap();
    let configuration = data.path().join("countersign.toml");
    // Longer than the test takes: the end does not come by itself.
    std::fs::write(&configuration, "[serve]\ndrain_delay_seconds = 600\n").unwrap();
    let path = configuration.to_str().unwrap();
    let mut served = Served::start(data.path(), &["--config", path]);
    served.signal("TERM");
    served.wait_for("stopping; open requests may finish, a second signal stops at once");
    let status = |path: &str| {
        let url = format!("http://{}{path}", served.address);
        let curl = ["-s", "-o", "/dev/null", "-w", "%{http_code}", &url];
        let answer = Command::new("curl").args(curl).output().unwrap();
        String::from_utf8(answer.stdout).unwrap()
    };
    // The line is written just before.
    while status("/readyz") != "503" {
        assert_eq!(status("/healthz"), "200");
    }
    assert_eq!(status("/healthz"), "200");
    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_process_that_a_newer_version_overtook_is_not_ready() {
    let data = tempdir().unwrap();
    let mut served = Served::start(data.path(), &[]);
    let ready = |served: &Served| -> Value {
        let url = format!("http://{}/readyz", served.address);
        let answer = Command::new("curl").args(["-s", &url]).output().unwrap();
        serde_json::from_slice(&answer.stdout).unwrap()
    };
    assert_eq!(ready(&served)["status"], "ok");
    let database = rusqlite::Connection::open(data.path().join("countersign.db")).unwrap();
    let newer = "INSERT INTO schema_migrations (version, applied_at) VALUES (999, 0)";
    database.execute_batch(newer).unwrap();
    let refused = ready(&served);
    assert_eq!(refused["error"]["code"], "storage_unavailable");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("newer version"), "{message}");
    served.wait_for(
        "a newer version has brought the database up to date: this process is not ready any more, and \
         commits nothing; replace it by the newer version",
    );
}

#[test]
fn sighup_reloads_what_can_change_and_names_what_waits() {
    let data = tempdir().unwrap();
    let configuration = data.path().join("countersign.toml");
    let write = |text: &str| std::fs::write(&configuration, text).unwrap();
    write("");
    let path = configuration.to_str().unwrap();
    let mut served = Served::start(data.path(), &["--config", path]);
    let ready = |served: &Served| -> Value {
        let url = format!("http://{}/readyz", served.address);
        let answer = Command::new("curl").args(["-s", &url]).output().unwrap();
        serde_json::from_slice(&answer.stdout).unwrap()
    };
    assert_eq!(ready(&served)["warnings"], serde_json::json!([]));

    write("[serve]\ndrain_seconds = \"soon\"\n");
    served.signal("HUP");
    let said = served.wait_for("cannot reload the configuration; the old one stays in use");
    assert!(said["error"].as_str().unwrap().contains("drain_seconds"));
    assert_eq!(
        ready(&served)["warnings"],
        serde_json::json!(["configuration_not_reloaded"])
    );

    // Nor is one that it could not start with.
    for (lines, names) in [
        (
            "[serve]\ntls_certificate = \"gone.pem\"\ntls_key = \"gone.key\"\n",
            "gone.pem",
        ),
        ("[webhooks]\nca_file = \"nowhere.pem\"\n", "nowhere.pem"),
    ] {
        write(lines);
        served.signal("HUP");
        let said = served.wait_for("cannot reload the configuration; the old one stays in use");
        assert!(said["error"].as_str().unwrap().contains(names), "{said}");
    }

    write("[serve]\ndrain_seconds = 3\n[log]\nlevel = \"debug\"\n");
    served.signal("HUP");
    served.wait_for("`serve.drain_seconds` has changed: it is used from the next start on");
    served.wait_for("configuration reloaded");
    assert_eq!(ready(&served)["warnings"], serde_json::json!([]));

    for signal in ["USR1", "USR2"] {
        served.signal(signal);
    }
    served.wait_for("SIGUSR2 has no meaning here; SIGHUP reloads, SIGUSR1 opens the logs again");
    assert_eq!(ready(&served)["status"], "ok");
}

#[test]
fn it_serves_the_api_and_figures_and_drains_on_sigterm() {
    let data = tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let key = first_key(data.path());
    let mut served = Served::start(data.path(), &["--metrics-listen", &free]);
    let mut list = countersign(&["certificate", "list"]);
    list.env("OPENAI_ADMIN_KEY", &key);
    list.env("OPENAI_BASE_URL", format!("http://{}/v1", served.address));
    assert_eq!(list.output().unwrap().stdout, b"[]\n");
    let figures = Command::new("curl")
        .args(["-s", &format!("http://{free}/metrics")])
        .output();
    let figures = String::from_utf8(figures.unwrap().stdout).unwrap();
    assert!(
        figures.contains("countersign_http_requests_total"),
        "{figures}"
    );
    served.signal("TERM");
    served.wait_for("stopped");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_speaks_tls_with_a_certificate_whose_ca_the_client_trusts() {
    let data = tempdir().unwrap();
    let script = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
  -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE
"#;
    let made = Command::new("sh")
        .args(["-euc", script])
        .current_dir(data.path())
        .output();
    assert!(made.unwrap().status.success());
    let (certificate, tls_key) = (data.path().join("tls.pem"), data.path().join("tls.key"));
    let certificate = certificate.to_str().unwrap();
    let key = first_key(data.path());
    let tls = [
        "--tls-certificate",
        certificate,
        "--tls-key",
        tls_key.to_str().unwrap(),
    ];
    let served = Served::start(data.path(), &tls);
    let list = |more: &[&str]| {
        let mut list = countersign(&["certificate", "list", "--timeout", "5"]);
        list.args(more).env("OPENAI_ADMIN_KEY", &key);
        list.env("OPENAI_BASE_URL", format!("https://{}/v1", served.address));
        list.output().unwrap()
    };
    assert_eq!(list(&["--server-ca", certificate]).stdout, b"[]\n");
    let refused = list(&[]);
    assert_eq!(
        refused.status.code(),
        Some(1),
        "an unknown CA is not trusted"
    );
}

#[test]
fn a_failed_start_says_why_and_what_to_do() {
    let data = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = data.path().to_str().unwrap();
    for (name, args) in [
        ("port", vec!["--listen", &address, "--data-dir", text]),
        (
            "directory",
            vec!["--listen", "127.0.0.1:0", "--data-dir", "/dev/null/x"],
        ),
        (
            "database",
            vec![
                "--listen",
                "127.0.0.1:0",
                "--database-url",
                "postgres://nobody@127.0.0.1:9/none",
            ],
        ),
        (
            "tls",
            vec![
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                text,
                "--tls-certificate",
                "/nowhere",
                "--tls-key",
                "/nowhere",
            ],
        ),
        ("address", vec!["--listen", "localhost"]),
        (
            "cleartext",
            vec!["--listen", "0.0.0.0:0", "--data-dir", text],
        ),
    ] {
        let all = [&["serve", "--log-level", "error"], args.as_slice()].concat();
        insta::assert_snapshot!(format!("serve_{name}"), seen(countersign(&all)));
    }
}
