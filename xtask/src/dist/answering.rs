//! Runs both roles from the image, and sees that the gateway answers.

use std::{
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    bench::server::free_address,
    debian,
    process::{self, Outcome, say},
};

/// Where the demonstration's files are in a container.
const DEMO: &str = "/demo";

/// How long a role may take to end, its drain included, before it is killed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// A role that runs in a container, until this is dropped.
struct Running(Child);

impl Running {
    /// Signals the whole group: buildah starts the program as its child.
    fn signal(&self, signal: Signal) {
        if let Ok(group) = self.0.id().try_into() {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let begun = Instant::now();
        let (_open, pause) = mpsc::channel::<()>();
        while matches!(self.0.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                say("a role of the image did not end when it was told to, and is killed");
                self.signal(Signal::SIGKILL);
                let _ = self.0.wait();
                return;
            }
            let _ = pause.recv_timeout(PAUSE);
        }
    }
}

/// Sets up the demonstration of `packaging/compose` with a database in a file, and runs a control plane and a
/// gateway from a container of the image.
pub(super) fn check(program: &Path, container: &str, buildah: &dyn Fn() -> Command) -> Outcome {
    debian::require("curl", "curl")?;
    let directory = tempfile::tempdir()?;
    let demo = directory.path().join("demo");
    set_up(program, &demo)?;
    let (plane, clients, admin) = (free_address()?, free_address()?, free_address()?);
    fs::write(demo.join("gateway.toml"), settings(plane, clients, admin)?)?;

    let run = |user: &[&str]| -> Outcome<Running> {
        let mut command = buildah();
        command
            .arg("run")
            .arg("--volume")
            .arg(format!("{}:{DEMO}", demo.display()))
            .args([container, "--", "/usr/bin/countersign"])
            .args(user)
            .stdin(Stdio::null())
            .process_group(0);
        Ok(Running(command.spawn()?))
    };
    let listen = plane.to_string();
    let _plane = run(&[
        "serve",
        "--listen",
        &listen,
        "--data-dir",
        "/demo/database",
        "--tls-certificate",
        "/demo/server.pem",
        "--tls-key",
        "/demo/server.key",
    ])?;
    let _gateway = run(&["gateway", "--config", "/demo/gateway.toml"])?;

    // Ready, it has what the control plane says; without a key, it refuses.
    let ready = process::read(asking(&format!("http://{admin}/readyz")).arg("--fail"))?;
    let refused = process::read(
        asking(&format!("https://localhost:{}/v1/models", clients.port()))
            .arg("--cacert")
            .arg(demo.join("ca.pem")),
    )?;
    if !ready.contains("\"ready\":true") || !refused.contains("invalid_api_key") {
        return Err(format!("the image's gateway answers `{ready}` and `{refused}`").into());
    }
    say("a control plane and a gateway of the image answer");
    Ok(())
}

/// Makes certificates, an organization and keys, as the demonstration does.
fn set_up(program: &Path, demo: &Path) -> Outcome {
    debian::require("openssl", "openssl")?;
    fs::create_dir(demo)?;
    let own = program.parent().ok_or("the program lies nowhere")?;
    let path = std::env::var("PATH").unwrap_or_default();
    process::run(
        Command::new("sh")
            .arg(process::repository().join("packaging/compose/set-up.sh"))
            .env("PATH", format!("{}:{path}", own.display()))
            .env("DEMO_DIRECTORY", demo)
            .env("COUNTERSIGN_DATA_DIR", demo.join("database")),
    )
}

/// The demonstration's gateway, at addresses of this machine.
fn settings(plane: SocketAddr, clients: SocketAddr, admin: SocketAddr) -> Outcome<String> {
    let path: PathBuf = process::repository().join("packaging/compose/gateway.toml");
    let mut text = fs::read_to_string(path)?;
    for (from, to) in [
        ("0.0.0.0:8443", clients.to_string()),
        ("127.0.0.1:9090", admin.to_string()),
        ("control-plane:8085", format!("localhost:{}", plane.port())),
    ] {
        if !text.contains(from) {
            return Err(format!("the demonstration's gateway no longer has `{from}`").into());
        }
        text = text.replace(from, &to);
    }
    Ok(text)
}

/// Asks until there is an answer, for a minute.
fn asking(url: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--retry", "60"])
        .args(["--retry-all-errors", "--retry-delay", "1", url]);
    curl
}
