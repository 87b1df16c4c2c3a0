//! The program's roles as processes that can be killed and started again.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use countersign_client::Client;
use countersign_testca::{General, Minted, oid, root};
use countersign_types::secret::Secret;
use serde_json::Value;

/// Too large a file is an error to be reported, as on a full disk, not a signal to die of.
const NO_SIGNAL: &str = r#"trap "" XFSZ; exec "$@""#;

/// Input and output become the descriptors that a service manager passes.
const PASSED: &str = r#"exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_PID=$$ exec "$@""#;

/// A process that runs until it is killed or dropped.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    /// What it logs, if nobody reads it.
    unread: Option<BufReader<ChildStderr>>,
}

impl Process {
    /// Starts the program and waits until its log says that it is ready.
    pub(crate) fn start(command: &mut Command, ready: &str) -> Self {
        Starting::begin(command).until(ready)
    }

    /// Reads its log from now on.
    fn read(mut self) -> Self {
        let process = &mut self;
        let mut log = process.unread.take().unwrap();
        let keep = Arc::clone(&process.log);
        thread::spawn(move || {
            let mut line = String::new();
            while log.read_line(&mut line).is_ok_and(|read| read > 0) {
                keep.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        self
    }

    /// The same, but nobody reads its log from then on.
    fn start_unread(command: &mut Command, ready: &str) -> Self {
        Starting::begin(command).until_unread(ready)
    }

    /// What it logged since it was ready.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        let names = tasks.filter_map(name);
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// Limits how large its files may get from now on, in bytes or `unlimited`.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let set = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={bytes}:unlimited"))
            .status();
        assert!(set.unwrap().success());
    }
}

/// A process that was just started.
pub(crate) struct Starting(Child);

impl Starting {
    pub(crate) fn begin(command: &mut Command) -> Self {
        Self(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.0, name);
    }

    /// Waits until its log says this, and reads on.
    pub(crate) fn until(self, ready: &str) -> Process {
        self.until_unread(ready).read()
    }

    fn until_unread(mut self, ready: &str) -> Process {
        let mut log = BufReader::new(self.0.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(ready) {
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        Process {
            child: self.0,
            log: Arc::default(),
            unread: Some(log),
        }
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

impl Drop for Process {
    /// As a power cut would: no handler runs, nothing is flushed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address that was free just now. It is fixed, so that clients find a restarted process.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// What every process of a deployment is configured with.
pub(crate) struct Deployment {
    /// PostgreSQL; without it, SQLite in the directory.
    pub(crate) database_url: Option<String>,
    pub(crate) directory: PathBuf,
    pub(crate) server_ca: Minted,
    /// Further variables of the environment.
    pub(crate) variables: Vec<(String, String)>,
}

impl Deployment {
    /// With SQLite, all in one directory.
    pub(crate) fn local(directory: &Path) -> Self {
        Self {
            database_url: None,
            directory: directory.to_owned(),
            server_ca: root("Server CA").mint(),
            variables: Vec::new(),
        }
    }

    fn program(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", NO_SIGNAL, "sh", env!("CARGO_BIN_EXE_countersign")])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        match &self.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env("COUNTERSIGN_DATA_DIR", self.directory.join("plane")),
        };
        command
    }

    /// Runs a command of the operator; what it prints, as JSON.
    fn operator(&self, arguments: &[&str]) -> Value {
        let done = self.program().args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{complaint}");
        serde_json::from_slice(&done.stdout).unwrap_or_default()
    }

    /// Creates an organization; its first admin key.
    pub(crate) fn organization(&self, name: &str) -> String {
        let made = self.operator(&["organization", "create", "--name", name, "-o", "json"]);
        let key = made.pointer("/admin_key/value").and_then(Value::as_str);
        key.unwrap().to_owned()
    }

    /// An organization's first admin key; a gateway key and a server certificate go to files.
    pub(crate) fn prepare(
        &self,
        upstream: SocketAddr,
        nodes: &[(SocketAddr, SocketAddr)],
    ) -> String {
        let admin_key = self.organization("kills");
        self.operator(&["gateway-key", "create", "--name", "k", "--key-file", "key"]);
        let server = self
            .server_ca
            .leaf("localhost")
            .eku(&[oid::SERVER_AUTH])
            .san(General::dns("localhost"))
            .mint();
        let write = |name: &str, text: &str| std::fs::write(self.directory.join(name), text);
        write("server.pem", &server.pem()).unwrap();
        write("server.key", &server.key_pem()).unwrap();
        for (number, (plane, gateway)) in nodes.iter().enumerate() {
            let configuration = format!(
                "listen = \"{gateway}\"\nname = \"gateway-{number}\"\ncertificate = \"server.pem\"\n\
                 private_key = \"server.key\"\ncontrol_plane = \"http://{plane}/v1\"\n\
                 key_file = \"key\"\ndata_dir = \"gateway-{number}\"\nthreads = 1\n\n\
                 [[routes]]\nupstream = \"http://{upstream}\"\n"
            );
            write(&format!("gateway-{number}.toml"), &configuration).unwrap();
        }
        admin_key
    }

    pub(crate) fn plane(&self, address: SocketAddr) -> Process {
        let listen = address.to_string();
        let mut command = self.program();
        command.args(["serve", "--listen", &listen, "--log-format", "json"]);
        Process::start(&mut command, "control plane listening")
    }

    pub(crate) fn gateway(&self, number: usize) -> Process {
        Process::start(&mut self.gateway_command(number), "gateway listening")
    }

    /// A gateway whose log nobody reads.
    pub(crate) fn unread_gateway(&self, number: usize) -> Process {
        Process::start_unread(&mut self.gateway_command(number), "gateway listening")
    }

    /// A gateway under a service manager that listens here and wants signs of life.
    pub(crate) fn supervised_gateway(&self, number: usize, manager: &Path) -> Process {
        let mut command = self.gateway_command(number);
        command
            .env("NOTIFY_SOCKET", manager)
            .env("WATCHDOG_USEC", "300000");
        Process::start(&mut command, "gateway listening")
    }

    /// A gateway that is passed so many descriptors under these names.
    pub(crate) fn activated_gateway(
        &self,
        passed: [OwnedFd; 2],
        count: u32,
        names: &str,
    ) -> Command {
        let [input, output] = passed;
        let mut command = Command::new("sh");
        command
            .args(["-c", PASSED, "sh", env!("CARGO_BIN_EXE_countersign")])
            .args(["gateway", "--config", "gateway-0.toml"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", names)
            .current_dir(&self.directory)
            .stdin(input)
            .stdout(output);
        command
    }

    pub(crate) fn gateway_command(&self, number: usize) -> Command {
        let file = format!("gateway-{number}.toml");
        let mut command = self.program();
        command.args(["gateway", "--config", &file]);
        command
    }
}

/// A client that retries for as long as a restart may take.
pub(crate) fn patient_client(plane: SocketAddr, key: &str) -> Client {
    client(plane, key, 8)
}

/// A client that says of each attempt what became of it.
pub(crate) fn impatient_client(plane: SocketAddr, key: &str) -> Client {
    client(plane, key, 0)
}

fn client(plane: SocketAddr, key: &str, retries: u32) -> Client {
    Client::builder()
        .base_url(format!("http://{plane}/v1"))
        .key(Secret::new(key))
        .max_retries(retries)
        .build()
        .unwrap()
}

/// Runs a shell line to its end.
pub(crate) fn shell(directory: &Path, line: &str) {
    let mut command = Command::new("sh");
    let status = command.args(["-c", line]).current_dir(directory).status();
    assert!(status.unwrap().success(), "{line}");
}
