//! A `countersign serve` process, and what it takes to start, kill and ask it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use countersign_client::{Client, types::secret::Secret};
use serde_json::Value;

/// Where a node keeps its data.
#[derive(Clone)]
pub(crate) enum Storage {
    Directory(PathBuf),
    Url(String),
}

impl Storage {
    /// The binary, told where the data is, by way of a shell line that ends in `exec "$@"`.
    fn command(&self, shell: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", shell, "sh", env!("CARGO_BIN_EXE_countersign")])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        match self {
            Self::Directory(directory) => command.env("COUNTERSIGN_DATA_DIR", directory),
            Self::Url(url) => command.env("DATABASE_URL", url),
        };
        command
    }

    /// Makes an organization; its first admin key.
    pub(crate) fn organization(&self) -> String {
        let arguments = [
            "organization",
            "create",
            "--name",
            "faults",
            "--output",
            "json",
        ];
        let made = self.command(PLAIN, &arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{complaint}");
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        made["admin_key"]["value"].as_str().unwrap().to_owned()
    }
}

/// Starts the binary as it is.
pub(crate) const PLAIN: &str = r#"exec "$@""#;

/// A node that runs until it is killed or dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Node {
    pub(crate) fn start(storage: &Storage) -> Self {
        Self::start_with(storage, PLAIN)
    }

    /// Starts it by way of a shell line, and waits until it says where it listens.
    pub(crate) fn start_with(storage: &Storage, shell: &str) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let mut child = storage
            .command(shell, &arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let start = said.len();
            assert!(
                log.read_line(&mut said).unwrap() > 0,
                "it ended early: {said}"
            );
            if said[start..].contains("control plane listening") {
                break address(&said[start..]);
            }
        };
        // A node whose pipe is full, or broken, would stop or fail at its log.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    /// Ends it as a power cut would: no handler runs, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Limits how large its files may get from now on, in bytes or `unlimited`.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let set = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={bytes}:unlimited"))
            .status();
        assert!(set.unwrap().success());
    }

    /// A client that repeats a failed call so often.
    pub(crate) fn client(&self, key: &str, repeats: u32) -> Client {
        Client::builder()
            .base_url(format!("http://{}/v1", self.address))
            .key(Secret::new(key))
            .max_retries(repeats)
            .build()
            .unwrap()
    }

    /// The whole text of an answer, headers included.
    pub(crate) fn raw(&self, method: &str, path: &str, key: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{method} /v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(line: &str) -> SocketAddr {
    let event: Value = serde_json::from_str(line).unwrap();
    let address = event.pointer("/fields/address").or(event.get("address"));
    address.and_then(Value::as_str).unwrap().parse().unwrap()
}

/// The answer is the documented one for a store that cannot be used just now.
#[track_caller]
pub(crate) fn assert_unavailable(answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 503"), "{answer}");
    assert!(head.contains("\r\nretry-after: 1"), "{answer}");
    assert!(head.contains("\r\nx-request-id: "), "{answer}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "storage_unavailable", "{answer}");
    assert_eq!(body["error"]["type"], "server_error", "{answer}");
}

/// What a certificate upload sends.
pub(crate) fn upload_body(pem: &str) -> String {
    serde_json::json!({ "certificate": pem }).to_string()
}

/// Copies of the files of a data directory that exist.
pub(crate) fn database_files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("countersign.db"))
        .collect()
}
