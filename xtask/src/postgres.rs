//! A private PostgreSQL cluster on a Unix socket, created for one run and removed afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    debian,
    process::{self, Outcome, as_user, free_port},
    self_signed::{self, Purpose},
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
        let cluster = Self::without_files(programs()?)?;
        process::read(cluster.program("initdb").args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--pgdata=data",
        ]))?;
        cluster.run_with("-c listen_addresses=")?;
        Ok(cluster)
    }

    /// A standby of another cluster, which follows it. It is reached over TLS, at `encrypted_url`.
    pub(crate) fn standby_of(primary: &Self) -> Outcome<Standby> {
        let cluster = Self::without_files(primary.programs.clone())?;
        process::read(
            cluster
                .program("pg_basebackup")
                .args([
                    "--username=postgres",
                    "--pgdata=data",
                    "--write-recovery-conf",
                ])
                .args(["--checkpoint=fast", "--host"])
                .arg(&primary.directory),
        )?;
        let user = cluster.user.as_deref();
        let tls = self_signed::make_as(user, Purpose::Server, &cluster.directory, 2)?;
        let port = free_port()?;
        cluster.run_with(&format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
            tls.certificate.display(),
            tls.key.display()
        ))?;
        let encrypted_url = format!(
            "postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
            tls.certificate.display()
        );
        let socket_url = format!("{}&port={port}", cluster.url());
        Ok(Standby {
            encrypted_url,
            socket_url,
            cluster,
        })
    }

    /// A place for one, which does not run yet.
    fn without_files(programs: PathBuf) -> Outcome<Self> {
        let user = unprivileged_user()?;
        let directory = short_directory(user.as_deref())?;
        Ok(Self {
            watcher: watcher(&directory, &programs, user.as_deref())?,
            directory,
            programs,
            user,
        })
    }

    fn run_with(&self, options: &str) -> Outcome {
        process::read(
            self.program("pg_ctl")
                .args(["--pgdata=data", "--log=log", "--wait", "--timeout=60"])
                .arg(format!(
                    "--options=-c unix_socket_directories={} -c max_connections=200 {options}",
                    self.directory.display()
                ))
                .arg("start"),
        )?;
        Ok(())
    }

    /// Where its socket is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
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

/// A running standby.
pub(crate) struct Standby {
    pub(crate) encrypted_url: String,
    pub(crate) socket_url: String,
    pub(crate) cluster: Cluster,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // There is nothing more to do if the watcher cannot be waited for.
        let _ = self.watcher.wait();
    }
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
pub(crate) fn short_directory(user: Option<&str>) -> Outcome<PathBuf> {
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
