//! `PgBouncer` in transaction mode before a PostgreSQL server, for one run.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    debian,
    postgres::{Cluster, short_directory, unprivileged_user},
    process::{Outcome, free_port, wait_for},
    self_signed::{self, Purpose},
};

/// What it does with options that a client sends at the start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Options {
    /// Refuse the connection, as it does by default.
    Refused,
    /// Take the connection and forget them, as many set it.
    Ignored,
}

/// A running pooler. It stops, and its files are removed, when this is dropped, and also when this
/// process dies in any other way.
pub(crate) struct Pooler {
    watcher: Child,
    socket: String,
    encrypted: String,
}

impl Pooler {
    /// Starts it before a cluster.
    pub(crate) fn start(before: &Cluster, options: Options) -> Outcome<Self> {
        let program = debian::require("pgbouncer", "pgbouncer")?;
        let user = unprivileged_user()?;
        let directory = short_directory(user.as_deref())?;
        let certificate = self_signed::make_as(user.as_deref(), Purpose::Server, &directory, 2)?;
        let port = free_port()?;
        let shown = directory.display();
        let ignored = match options {
            Options::Refused => "",
            Options::Ignored => "ignore_startup_parameters = options\n",
        };
        let configuration = directory.join("pgbouncer.ini");
        fs::write(directory.join("users"), "\"postgres\" \"\"\n")?;
        fs::write(
            &configuration,
            format!(
                "[databases]\n* = host={}\n[pgbouncer]\npool_mode = transaction\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {shown}\n\
                 auth_type = trust\nauth_file = {shown}/users\nlogfile = {shown}/log\n\
                 client_tls_sslmode = allow\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n\
                 max_client_conn = 500\nserver_idle_timeout = 5\n{ignored}",
                before.directory().display(),
                certificate.certificate.display(),
                certificate.key.display(),
            ),
        )?;
        let watcher = watcher(&directory, &program, user.as_deref(), &configuration)?;
        let socket = directory.join(format!(".s.PGSQL.{port}"));
        wait_for(|| Ok(UnixStream::connect(&socket).map(drop)?))?;
        Ok(Self {
            watcher,
            socket: format!("postgresql:///postgres?host={shown}&port={port}&user=postgres"),
            encrypted: format!(
                "postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
                certificate.certificate.display()
            ),
        })
    }

    /// Its URL for clients, over a socket.
    pub(crate) fn url(&self) -> String {
        self.socket.clone()
    }

    /// The same over TLS, where the server is verified.
    pub(crate) fn encrypted_url(&self) -> String {
        self.encrypted.clone()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // There is nothing more to do if the watcher cannot be waited for.
        let _ = self.watcher.wait();
    }
}

/// Runs it until we let go of the standard input, then removes its files.
fn watcher(
    directory: &Path,
    program: &Path,
    user: Option<&str>,
    configuration: &Path,
) -> Outcome<Child> {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(
            r#"trap "" INT TERM HUP; "$@" >/dev/null 2>&1 & read -r _; kill -9 $!; cd /; rm -rf "$0""#,
        )
        .arg(directory)
        .arg(program);
    if let Some(user) = user {
        command.args(["-u", user]);
    }
    Ok(command
        .arg(configuration)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}
