//! Starts `countersign` as a process, and waits for what it says.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

/// The binary under test, with nothing of this process's environment but the path of programs.
pub(crate) fn countersign(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(args).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A process that serves, ended with the test.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Reads standard output up to the first line that `wanted` takes.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended early, having said: {printed}");
            printed += &line;
            if wanted(line.trim_end()) {
                return printed;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `countersign dev` that is ready.
pub(crate) struct Dev {
    pub(crate) process: Running,
    pub(crate) directory: PathBuf,
    /// What it said when it was ready.
    pub(crate) welcome: String,
    /// What `dev.env` exports.
    pub(crate) env: BTreeMap<String, String>,
}

impl Dev {
    /// Starts in a directory and waits until it is ready.
    pub(crate) fn start(directory: &Path) -> Self {
        let text = directory.to_str().unwrap();
        Self::start_with(&["--data-dir", text], directory)
    }

    pub(crate) fn start_with(args: &[&str], directory: &Path) -> Self {
        let mut all = vec!["dev", "--listen", "127.0.0.1:0"];
        all.extend(args);
        Self::started(countersign(&all), directory)
    }

    /// Starts it as it is given, with its files in this directory.
    pub(crate) fn started(command: Command, directory: &Path) -> Self {
        let mut process = Running::start(command);
        let welcome = process.wait_for(|line| line == "# stop with Ctrl-C");
        Self {
            process,
            directory: directory.to_owned(),
            env: read_env(&directory.join("dev.env")),
            welcome,
        }
    }

    /// The binary with what `dev.env` exports.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = countersign(args);
        command.envs(&self.env).current_dir(&self.directory);
        command
    }

    /// Runs a command that must succeed, and reads the JSON it prints.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let ran = self.command(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{args:?}: {stderr}");
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    /// Uploads the dev CA and answers the certificate's id.
    pub(crate) fn upload(&self, name: &str) -> String {
        let ca = &self.env["COUNTERSIGN_CLIENT_CA"];
        let uploaded = self.json(&[
            "certificate",
            "upload",
            ca,
            "--name",
            name,
            "--allow-duplicate",
        ]);
        uploaded["id"].as_str().unwrap().to_owned()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.process.signal("INT");
        self.process.wait()
    }
}

/// What a POSIX shell knows after sourcing the file, and did not know before.
pub(crate) fn read_env(file: &Path) -> BTreeMap<String, String> {
    assert!(fs::exists(file).unwrap(), "{} is there", file.display());
    let ran = Command::new("sh")
        .args(["-c", ". \"$1\" && env -0", "sh"])
        .arg(file)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    String::from_utf8(ran.stdout)
        .unwrap()
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.starts_with("OPENAI_") || name.starts_with("COUNTERSIGN_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
