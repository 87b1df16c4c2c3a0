//! A private PostgreSQL cluster on a Unix socket, created for one run and removed afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    debian,
    process::{self, Outcome},
};

/// A running cluster. It stops, and its files are removed, when this is dropped, and also when this
/// process dies in any other way: a watcher waits for the end of a pipe that we hold.
pub(crate) struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    user: Option<String>,
    watcher: Child,
}

impl Cluster {
    /// Creates and starts a cluster with default settings except for the socket: every durability
    /// setting stays at its safe default.
    pub(crate) fn start() -> Outcome<Self> {
        let programs = programs()?;
        let user = unprivileged_user()?;
        let directory = short_directory(user.as_deref())?;
        let watcher = watcher(&directory, &programs, user.as_deref())?;
        let cluster = Self {
            directory,
            programs,
            user,
            watcher,
        };
        process::read(cluster.program("initdb").args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--pgdata=data",
        ]))?;
        process::read(
            cluster
                .program("pg_ctl")
                .args(["--pgdata=data", "--log=log", "--wait", "--timeout=60"])
                .arg(format!(
                    "--options=-c listen_addresses= -c unix_socket_directories={} -c max_connections=200",
                    cluster.directory.display()
                ))
                .arg("start"),
        )?;
        Ok(cluster)
    }

    /// Its URL for clients.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Creates a database; returns its URL for clients.
    pub(crate) fn create_database(&self, name: &str) -> Outcome<String> {
        let sql = format!("--command=CREATE DATABASE {name}");
        process::read(
            self.program("psql")
                .args(["--quiet", "--no-psqlrc", &sql, &self.url()]),
        )?;
        Ok(self.url_of(name))
    }

    /// The id of the server's first process, the parent of all others.
    pub(crate) fn process(&self) -> Outcome<u32> {
        let text = fs::read_to_string(self.directory.join("data/postmaster.pid"))?;
        Ok(text
            .lines()
            .next()
            .ok_or("an empty postmaster.pid")?
            .parse()?)
    }

    /// Where its programs are.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    fn url_of(&self, database: &str) -> String {
        format!(
            "postgresql:///{database}?host={}&user=postgres",
            self.directory.display()
        )
    }

    /// A shell command that stops it like a power failure, and starts it again.
    pub(crate) fn restart_command(&self) -> String {
        let user = match &self.user {
            Some(user) => format!("runuser -u {user} -- "),
            None => String::new(),
        };
        let directory = self.directory.display();
        format!(
            "cd {directory} && exec {user}{}/pg_ctl --pgdata=data --log=log --mode=immediate --wait --silent restart >/dev/null 2>&1",
            self.programs.display()
        )
    }

    fn program(&self, name: &str) -> Command {
        let mut command = as_user(self.user.as_deref(), &self.programs.join(name));
        command.current_dir(&self.directory).env("LC_ALL", "C");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // There is nothing more to do if the watcher cannot be waited for.
        let _ = self.watcher.wait();
    }
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--"]).arg(program);
    command
}

/// The directory that holds `initdb` and the rest, of the newest installed version.
pub(crate) fn programs() -> Outcome<PathBuf> {
    if let Some(programs) = installed() {
        return Ok(programs);
    }
    debian::install(&["postgresql"])?;
    installed().ok_or_else(|| "`postgresql` is installed but `initdb` is not to be found".into())
}

fn installed() -> Option<PathBuf> {
    let on_path = process::find("initdb")
        .and_then(|initdb| fs::canonicalize(initdb).ok())
        .and_then(|initdb| initdb.parent().map(Path::to_path_buf));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let debian = versions.into_iter().rev().map(|(_, programs)| programs);
    on_path
        .into_iter()
        .chain(debian)
        .find(|programs| programs.join("initdb").is_file() && programs.join("postgres").is_file())
}

/// The user that PostgreSQL runs as, since it refuses to run as root. `None` is the current user.
pub(crate) fn unprivileged_user() -> Outcome<Option<String>> {
    if !process::is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    ["postgres", "nobody"]
        .into_iter()
        .find(|name| {
            accounts
                .lines()
                .any(|line| line.split(':').next() == Some(name))
        })
        .map(|name| Some(name.to_owned()))
        .ok_or_else(|| {
            "PostgreSQL will not run as root, and there is no user `postgres` or `nobody`".into()
        })
}

/// A socket's path may have 107 bytes and PostgreSQL's user must reach it, so it cannot be under
/// the repository. `/var/tmp` is on a disk where `/tmp` may be memory: commits stay real.
fn short_directory(user: Option<&str>) -> Outcome<PathBuf> {
    let directory = tempfile::Builder::new()
        .prefix("countersign-")
        .tempdir_in("/var/tmp")?
        .keep();
    if let Some(user) = user {
        process::read(Command::new("chown").arg(user).arg(&directory))?;
    }
    Ok(directory)
}

/// Waits until we let go of its standard input, then stops the cluster and removes its files.
fn watcher(directory: &Path, programs: &Path, user: Option<&str>) -> Outcome<Child> {
    let stop = as_user(user, &programs.join("pg_ctl"));
    Ok(Command::new("sh")
        .arg("-c")
        .arg(r#"trap "" INT TERM HUP; read -r _; "$@"; cd /; rm -rf "$0""#)
        .arg(directory)
        .arg(stop.get_program())
        .args(stop.get_args())
        .args(["--pgdata=data", "--mode=immediate", "--silent", "stop"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}
