//! Countersign's own gateway: the release build, with an active anchor and a bearer key, so that
//! every request is judged.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::{
        gateway::{
            doors::{COUNTERSIGN, Door},
            traffic::Target,
        },
        server::{Server, free_address},
    },
    process::{self, Outcome},
};

/// The bearer key of the project whose anchor is active.
const KEY: &str = "sk-svcacct-benchmark-0123456789abcdefghijklmnop";

pub(crate) struct Countersign {
    program: PathBuf,
}

impl Countersign {
    pub(crate) fn build(quick: bool) -> Outcome<Self> {
        let (profile, built) = if quick {
            ("dev", "debug")
        } else {
            ("release", "release")
        };
        let what = ["build", "--package", "countersign-gateway"];
        let mut build = process::cargo();
        process::run(
            build
                .args(what)
                .args(["--example", "door", "--profile", profile]),
        )?;
        let examples = process::target_directory().join(built).join("examples");
        Ok(Self {
            program: examples.join("door"),
        })
    }

    pub(crate) fn start(&self, directory: &Path, upstream: SocketAddr) -> Outcome<Door> {
        let address = free_address()?;
        let mut command = Command::new(&self.program);
        command
            .arg(directory)
            .args([address.to_string(), upstream.to_string(), KEY.to_owned()]);
        Ok(Door {
            name: COUNTERSIGN,
            server: Server::start(&command, address)?,
            target: Target {
                address,
                key: KEY.to_owned(),
            },
        })
    }
}
