//! Holds the systemd units against systemd's own tools, and starts a gateway as a socket unit does.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    bench::server::free_address,
    debian,
    process::{self, Outcome, say},
    self_signed::{self, Purpose},
};

/// The exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE: &str = "--threshold=20";
/// Where units are installed.
const UNITS: &str = "usr/lib/systemd/system";
/// What the units are, each as it is started.
const STARTED: [&str; 3] = [
    "countersign.service",
    "countersign-gateway@edge.service",
    "countersign-gateway@edge.socket",
];

pub(crate) fn run() -> Outcome {
    let analyze = debian::require("systemd-analyze", "systemd")?;
    let units = process::repository().join("packaging/systemd");
    verify(&analyze, &units)?;
    for unit in ["countersign.service", "countersign-gateway@.service"] {
        let mut security = Command::new(&analyze);
        security.args(["security", "--offline=true", EXPOSURE]);
        let told = process::read(security.arg(units.join(unit)))?;
        say(told.lines().last().unwrap_or_default().trim());
    }
    activate()
}

/// Lets systemd load the units in a root that has nothing but them, what they run, and systemd's own.
fn verify(analyze: &Path, units: &Path) -> Outcome {
    let root = tempfile::tempdir()?;
    let directory = root.path().join(UNITS);
    fs::create_dir_all(&directory)?;
    copy(Path::new("/usr/lib/systemd/system"), &directory)?;
    // Ours last: a machine may have others of the same names.
    copy(units, &directory)?;
    for program in ["usr/bin/countersign", "bin/kill"] {
        let path = root.path().join(program);
        fs::create_dir_all(path.parent().ok_or("a program has a directory")?)?;
        fs::copy("/bin/true", path)?;
    }
    process::run(
        Command::new(analyze)
            .args(["verify", "--man=no", "--recursive-errors=yes", "--root"])
            .arg(root.path())
            .args(STARTED),
    )
}

/// Copies the unit files of a directory, and not what is in directories of it.
fn copy(from: &Path, to: &Path) -> Outcome {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().ok_or("a unit has a name")?;
        if path.is_file() {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// A program that runs until this is dropped.
struct Activated(Child);

impl Drop for Activated {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a gateway by its socket: the first client's connection does.
fn activate() -> Outcome {
    let activate = debian::require("systemd-socket-activate", "systemd")?;
    debian::require("curl", "curl")?;
    let what = ["build", "--package", "countersign", "--bin", "countersign"];
    process::run(process::cargo().args(what))?;
    let program = process::target_directory().join("debug/countersign");
    let directory = tempfile::tempdir()?;
    let (clients, admin) = (free_address()?, free_address()?);
    configure(directory.path(), clients)?;
    let started = Command::new(activate)
        .args([
            "--listen",
            &clients.to_string(),
            "--listen",
            &admin.to_string(),
        ])
        .arg("--fdname=clients:admin")
        .arg(program)
        .args(["gateway", "--config", "gateway.toml"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .spawn()?;
    let _gateway = Activated(started);
    let curl = |url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--retry", "30"])
            .args(["--retry-connrefused", "--retry-delay", "1", url]);
        process::read(&mut curl)
    };
    // It knows no key, so it refuses; that it does says that it serves.
    let refused = curl(&format!("https://{clients}/"))?;
    let alive = curl(&format!("http://{admin}/healthz"))?;
    if !refused.contains("invalid_api_key") || !alive.contains("ok") {
        return Err(format!("an activated gateway answers `{refused}` and `{alive}`").into());
    }
    say("a gateway serves on the sockets that systemd passes");
    Ok(())
}

fn configure(directory: &Path, clients: SocketAddr) -> Outcome {
    self_signed::make(Purpose::Server, directory, 2)?;
    fs::write(directory.join("gateway.key"), "sk-gateway-none\n")?;
    // `listen` is not what it gets.
    let settings = format!(
        "listen = \"127.0.0.1:{}\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         control_plane = \"http://127.0.0.1:1/v1\"\nkey_file = \"gateway.key\"\ndata_dir = \"data\"\n\
         routes = [{{ upstream = \"http://127.0.0.1:2\" }}]\n",
        clients.port()
    );
    fs::write(directory.join("gateway.toml"), settings)?;
    Ok(())
}
