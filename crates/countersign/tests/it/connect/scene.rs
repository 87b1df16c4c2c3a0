//! A `dev` that wants a client certificate, what stands behind it, and a forwarder in front.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::running::{Dev, countersign};

/// How long anything may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// A `dev` whose project wants certificates of its CA.
pub(super) struct Scene {
    pub(super) dev: Dev,
    pub(super) directory: TempDir,
    upstream: TcpListener,
}

impl Scene {
    /// With the test as the upstream.
    pub(super) fn start() -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", upstream.local_addr().unwrap());
        Self::with(&["--upstream", &url], upstream)
    }

    /// With the echo server of `dev`.
    pub(super) fn echoing() -> Self {
        Self::with(&[], TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(super) fn with(args: &[&str], upstream: TcpListener) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("dev");
        let mut all = vec!["--memory", "--data-dir", data.to_str().unwrap()];
        all.extend(args);
        let dev = Dev::start_with(&all, &data);
        let id = dev.upload("dev-ca");
        dev.json(&[
            "certificate",
            "activate",
            &id,
            "--project",
            "dev",
            "--wait",
            "--yes",
            "--allow-refusals",
        ]);
        Self {
            dev,
            directory,
            upstream,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The gateway's host and port.
    pub(super) fn gateway(&self) -> &str {
        let url = self.dev.env["COUNTERSIGN_GATEWAY_URL"].as_str();
        url.strip_prefix("https://")
            .unwrap()
            .strip_suffix("/v1")
            .unwrap()
    }

    /// The gateway's port on `localhost`, a name that its certificate carries.
    pub(super) fn named_gateway(&self) -> String {
        format!("localhost:{}", self.gateway().rsplit(':').next().unwrap())
    }

    /// `countersign connect` with what `dev.env` exports.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut all = vec!["connect"];
        all.extend(args);
        let mut command = countersign(&all);
        command
            .envs(&self.dev.env)
            .current_dir(self.directory.path());
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts it, with its variables in a file.
    pub(super) fn connect(&self, args: &[&str]) -> Connect {
        let file = self.path("connect.env");
        let mut command = self.command(args);
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.arg("--env-file").arg(&file);
        Connect::start(command, &file)
    }

    /// The next connection that the gateway opens to its upstream.
    pub(super) fn accept(&self) -> Wire {
        Wire::of(self.upstream.accept().unwrap().0)
    }

    pub(super) fn key(&self) -> &str {
        &self.dev.env["OPENAI_API_KEY"]
    }

    /// A file of `dev` that others are not told of.
    pub(super) fn file(&self, name: &str) -> String {
        self.dev.directory.join(name).to_str().unwrap().to_owned()
    }
}

/// A forwarder that is ready.
pub(super) struct Connect {
    child: Child,
    /// What it said when it was ready.
    pub(super) said: String,
    pub(super) env: BTreeMap<String, String>,
    stderr: BufReader<ChildStderr>,
    _stdout: BufReader<ChildStdout>,
}

impl Connect {
    pub(super) fn start(mut command: Command, env_file: &Path) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.ends_with("# stop with Ctrl-C\n") {
            let read = stdout.read_line(&mut said).unwrap();
            let mut why = String::new();
            if read == 0 {
                stderr.read_to_string(&mut why).unwrap();
            }
            assert!(read > 0, "it ended early, having said: {said}{why}");
        }
        Self {
            child,
            said,
            env: exported(env_file),
            stderr,
            _stdout: stdout,
        }
    }

    /// What it writes to standard error, up to the first line with this text.
    pub(super) fn logged(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended, having said: {all}");
            all += &line;
            if line.contains(text) {
                return all;
            }
        }
    }

    /// The address, and what paths begin with.
    pub(super) fn address_and_prefix(&self) -> (String, String) {
        let url = &self.env["COUNTERSIGN_CONNECT_URL"];
        let rest = url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let prefix = format!("/{path}");
        (
            address.to_owned(),
            prefix.strip_suffix("/v1").unwrap().to_owned(),
        )
    }

    pub(super) fn token(&self) -> String {
        let (_, prefix) = self.address_and_prefix();
        prefix.strip_prefix("/t/").unwrap().to_owned()
    }

    /// A connection to it as to a server.
    pub(super) fn wire(&self) -> Wire {
        Wire::of(TcpStream::connect(self.address_and_prefix().0).unwrap())
    }

    /// The address of the proxy, without user and password.
    pub(super) fn proxy_address(&self) -> &str {
        let url = self.env["HTTPS_PROXY"].strip_prefix("http://").unwrap();
        url.rsplit('@').next().unwrap()
    }

    /// Ends it as a service manager does; what else it said.
    pub(super) fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(sent.unwrap().success());
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
        rest
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a shell knows after reading the file.
fn exported(file: &Path) -> BTreeMap<String, String> {
    assert!(fs::exists(file).unwrap());
    let ran = Command::new("sh")
        .args(["-c", ". \"$1\" && env -0", "sh"])
        .arg(file)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.collect()
}

/// A connection whose bytes a test writes and reads itself.
pub(super) struct Wire<S = TcpStream> {
    stream: S,
    /// What was read beyond what was asked for.
    ahead: Vec<u8>,
}

impl Wire {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }
}

impl<S: Read + Write> Wire<S> {
    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Reads up to the end of this text.
    pub(super) fn until(&mut self, text: &str) -> String {
        loop {
            let found = self
                .ahead
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let rest = self.ahead.split_off(at + text.len());
                let read = std::mem::replace(&mut self.ahead, rest);
                return String::from_utf8_lossy(&read).into_owned();
            }
            let mut more = [0; 4096];
            let count = self.stream.read(&mut more).unwrap();
            let so_far = String::from_utf8_lossy(&self.ahead);
            assert!(count > 0, "it ended before `{text}`: {so_far}");
            self.ahead.extend_from_slice(&more[..count]);
        }
    }

    /// Reads so many bytes, and keeps none.
    pub(super) fn skip(&mut self, count: usize) {
        let mut left = count - self.ahead.len().min(count);
        self.ahead.drain(..(count - left));
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            let most = left.min(buffer.len());
            let read = self.stream.read(&mut buffer[..most]).unwrap();
            assert!(read > 0, "{left} bytes were still to come");
            left -= read;
        }
    }

    /// Reads a head.
    pub(super) fn head(&mut self) -> String {
        self.until("\r\n\r\n")
    }

    /// Reads to the end.
    pub(super) fn rest(mut self) -> String {
        let mut all = std::mem::take(&mut self.ahead);
        self.stream.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Runs a command that must succeed, and returns what it wrote.
#[track_caller]
pub(super) fn output(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
    String::from_utf8(ran.stdout).unwrap()
}
