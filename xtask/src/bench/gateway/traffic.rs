//! The traffic: a program of its own (`examples/traffic`), built with optimisation.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde::Deserialize;

use crate::{
    bench::server::{Server, free_address},
    process::{self, Outcome},
};

/// The result of a load.
#[derive(Deserialize)]
pub(crate) struct Answered {
    pub(crate) answers: usize,
    /// How long each took, in the order in which they were sent; only where that is measured.
    #[serde(default)]
    pub(crate) took_ns: Vec<u64>,
}

/// The result of exchanges.
#[derive(Deserialize)]
struct Exchanged {
    answers: usize,
    token: String,
}

impl Answered {
    /// How long this many percent of them took at most, in microseconds; none where that was not measured.
    pub(crate) fn quantile_us(&self, percent: usize) -> Option<f64> {
        quantile(&self.took_ns, percent).map(microseconds)
    }
}

/// How long this many percent of the answers took at most.
pub(super) fn quantile(took: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
}

pub(super) fn microseconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

/// What to send, as the program takes it.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) kind: Vec<String>,
    pub(crate) count: usize,
    /// The first leaf to use.
    pub(crate) leaf: usize,
}

/// Where the traffic goes, and the bearer key that it carries.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

pub(crate) struct Traffic {
    program: PathBuf,
    /// The certificates.
    pub(crate) directory: PathBuf,
}

impl Traffic {
    /// Builds the program and mints the certificates.
    pub(crate) fn prepare(quick: bool, directory: &Path, leaves: usize) -> Outcome<Self> {
        let (profile, built) = if quick {
            ("dev", "debug")
        } else {
            ("dist", "dist")
        };
        let what = ["build", "--package", "xtask", "--example", "traffic"];
        process::run(process::cargo().args(what).args(["--profile", profile]))?;
        let program = process::target_directory()
            .join(built)
            .join("examples/traffic");
        let mut mint = Command::new(&program);
        process::read(mint.arg("mint").arg(directory).arg(leaves.to_string()))?;
        Ok(Self {
            program,
            directory: directory.to_path_buf(),
        })
    }

    /// Starts the upstream, on the load's core.
    pub(crate) fn upstream(&self) -> Outcome<Server> {
        let address = free_address()?;
        let mut command = Command::new(&self.program);
        Server::start_beside(command.arg("upstream").arg(address.to_string()), address)
    }

    fn command(&self, target: &Target, load: &Load) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["load", "--address", &target.address.to_string()])
            .args(["--key", &target.key])
            .args(["--count", &load.count.to_string()])
            .args(["--leaf", &load.leaf.to_string()])
            .arg("--directory")
            .arg(&self.directory)
            .args(&load.kind);
        command
    }

    /// Sends a load and waits for every answer. An unexpected answer is a failure.
    pub(crate) fn send(&self, target: &Target, load: &Load) -> Outcome<Answered> {
        let printed = process::read(&mut self.command(target, load))?;
        let answered: Answered = serde_json::from_str(&printed)?;
        if answered.answers == load.count {
            return Ok(answered);
        }
        Err(format!("{} answers to {} requests", answered.answers, load.count).into())
    }

    /// Exchanges certificates for tokens under a host name, and waits for every answer; gives one of the tokens.
    pub(crate) fn exchange(
        &self,
        target: &Target,
        (host, body): (&str, &str),
        count: usize,
    ) -> Outcome<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["exchanges", "--address", &target.address.to_string()])
            .args(["--host", host, "--body", body])
            .args(["--count", &count.to_string()])
            .arg("--directory")
            .arg(&self.directory);
        let exchanged: Exchanged = serde_json::from_str(&process::read(&mut command)?)?;
        if exchanged.answers == count {
            return Ok(exchanged.token);
        }
        Err(format!("{} answers to {count} exchanges", exchanged.answers).into())
    }

    /// Opens connections that stay until what is returned is dropped.
    pub(crate) fn hold(&self, target: &Target, count: usize) -> Outcome<Held> {
        let load = Load {
            kind: vec!["idle".to_owned()],
            count,
            leaf: 0,
        };
        let mut child = self
            .command(target, &load)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let held = Held(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no standard output")?).read_line(&mut line)?;
        let answered: Answered = serde_json::from_str(&line)
            .map_err(|_| "the load ended before its connections were open")?;
        if answered.answers == count {
            return Ok(held);
        }
        Err(format!("{} connections of {count}", answered.answers).into())
    }
}

/// Idle connections.
pub(crate) struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
