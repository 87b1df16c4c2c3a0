//! Debian packages, when a program that the tests need is absent.

use std::{path::PathBuf, process::Command};

use crate::process::{self, Outcome, say};

/// Installs packages, or explains how to.
pub(crate) fn install(packages: &[&str]) -> Outcome {
    let names = packages.join(" ");
    let by_hand = format!("install it with `apt-get install {names}` (as root)");
    if process::find("apt-get").is_none() {
        return Err(format!(
            "{names} is not here, nor is `apt-get`; {by_hand} or your own package manager"
        )
        .into());
    }
    if !process::is_root() {
        return Err(format!("{names} is not here; {by_hand}").into());
    }
    say(&format!("installing {names} from Debian's packages"));
    apt_get(&["install"], packages)
        .or_else(|_stale_lists| {
            apt_get(&["update"], &[]).and_then(|()| apt_get(&["install"], packages))
        })
        .map_err(|failure| format!("{names} cannot be had: {failure}").into())
}

/// The program's path; its package is installed first if necessary.
pub(crate) fn require(program: &str, package: &str) -> Outcome<PathBuf> {
    if let Some(path) = process::find(program) {
        return Ok(path);
    }
    install(&[package])?;
    process::find(program).ok_or_else(|| {
        format!("`{package}` is installed but `{program}` is not on the path").into()
    })
}

fn apt_get(verb: &[&str], packages: &[&str]) -> Outcome {
    process::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(verb)
            .args(["--yes", "--quiet", "--no-install-recommends"])
            .args(packages),
    )
}
