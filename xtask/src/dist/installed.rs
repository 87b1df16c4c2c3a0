//! Installs the Debian package in a Debian system of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::server::free_address,
    debian,
    process::{self, Outcome, say},
};

/// What the package needs, and what those who operate it use.
const INCLUDED: &str = "--include=adduser,ca-certificates,curl,logrotate,openssl";

/// Of the control plane, for clients, and of the gateway's admin listener.
const PORTS: usize = 3;

/// Makes a system in a directory that goes at the end; installs, upgrades, removes and purges there; and operates what
/// was installed.
pub(super) fn check(artefacts: &Path) -> Outcome {
    if !process::is_root() {
        return Err("a Debian system can be made only by root; leave `--try` out".into());
    }
    let mmdebstrap = debian::require("mmdebstrap", "mmdebstrap")?;
    let package = package(artefacts)?;
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("root");
    process::run(
        Command::new(mmdebstrap)
            .args(["--quiet", "--variant=minbase", INCLUDED, &suite()?])
            .arg(&root),
    )?;
    let tests = process::repository().join("tests/debian");
    fs::copy(&package, root.join("tmp/countersign.deb"))?;
    for script in ["installed.sh", "operated.sh"] {
        fs::copy(tests.join(script), root.join("tmp").join(script))?;
    }
    process::run(Command::new("chroot").arg(&root).args([
        "/bin/sh",
        "/tmp/installed.sh",
        "/tmp/countersign.deb",
    ]))?;
    // Its own processes alone can be seen there, and end with it.
    let mut operated = Command::new("unshare");
    operated
        .args(["--pid", "--fork", "--kill-child"])
        .arg(format!("--mount-proc={}", root.join("proc").display()))
        .arg("chroot")
        .arg(&root)
        .args(["/bin/sh", "/tmp/operated.sh", "/tmp/countersign.deb"]);
    for _ in 0..PORTS {
        operated.arg(free_address()?.port().to_string());
    }
    process::run(&mut operated)?;
    say("the Debian package can be installed, and what it installs be operated");
    Ok(())
}

fn package(artefacts: &Path) -> Outcome<PathBuf> {
    for entry in fs::read_dir(artefacts)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    Err(format!("there is no package in `{}`", artefacts.display()).into())
}

/// The release of Debian that this machine runs, which the package is built for.
fn suite() -> Outcome<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.ok_or("/etc/os-release names no release")?.to_owned())
}
