//! What the control plane is measured beside: a bare handler, the floor; and Stoplight Prism
//! mocking the same document, which is what people use for this today.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    bench::{
        load::{Requests, ask, request},
        reads::{self, Store},
        server::{Server, free_address},
    },
    debian,
    process::{self, Outcome, say},
};

/// The programs that are built for a benchmark.
pub(crate) struct Programs {
    pub(crate) countersign: PathBuf,
    pub(crate) bare: PathBuf,
}

/// The peers, running.
pub(crate) struct Peers {
    pub(crate) bare_get: Server,
    pub(crate) bare_list: Server,
    /// With the part of the path that its document leaves to the server's address.
    pub(crate) prism: Option<(Server, &'static str)>,
}

impl Peers {
    /// Starts them with the answers and the document of a store's server.
    pub(crate) fn start(
        quick: bool,
        programs: &Programs,
        directory: &Path,
        store: &Store,
    ) -> Outcome<Self> {
        let address = store.server.address;
        let answer = |requests: &Requests| ask(address, requests.at(0).ok_or("no requests")?);
        let get = answer(&reads::gets(&store.dataset, "/v1"))?;
        let list = answer(&reads::lists(&store.dataset, "/v1"))?;
        let document = ask(address, &request("GET", "/openapi.json", "none", ""))?;
        let bare = |name, body: &[u8]| bare(&programs.bare, directory, name, body);
        Ok(Self {
            bare_get: bare("get.json", &get)?,
            bare_list: bare("list.json", &list)?,
            prism: if quick {
                None
            } else {
                Some((prism(directory, &document)?, base(&document)?))
            },
        })
    }
}

/// Prism serves the paths as the document spells them.
fn base(document: &[u8]) -> Outcome<&'static str> {
    let document: Value = serde_json::from_slice(document)?;
    let whole = document
        .pointer("/paths/~1v1~1organization~1certificates")
        .is_some();
    Ok(if whole { "/v1" } else { "" })
}

/// The bare handler, answering with these bytes.
fn bare(program: &Path, directory: &Path, name: &str, body: &[u8]) -> Outcome<Server> {
    let file = directory.join(name);
    fs::write(&file, body)?;
    let address = free_address()?;
    Server::start(
        Command::new(program).arg(address.to_string()).arg(file),
        address,
    )
}

/// Prism, as quiet as it can be, mocking a document.
fn prism(directory: &Path, document: &[u8]) -> Outcome<Server> {
    let program = prism_program()?;
    let file = directory.join("openapi.json");
    fs::write(&file, document)?;
    let address = free_address()?;
    Server::start(
        Command::new(program)
            .args(["mock", "--verboseLevel", "silent", "--host", "127.0.0.1"])
            .args(["--port", &address.port().to_string()])
            .arg(file),
        address,
    )
}

fn prism_program() -> Outcome<PathBuf> {
    let directory = process::target_directory().join("bench-prism");
    let program = directory.join("node_modules/.bin/prism");
    if program.is_file() {
        return Ok(program);
    }
    debian::require("npm", "npm")?;
    say("installing Stoplight Prism from npm");
    fs::create_dir_all(&directory)?;
    fs::copy(
        process::repository().join("bench/prism/package.json"),
        directory.join("package.json"),
    )?;
    process::run(
        Command::new("npm")
            .args([
                "install",
                "--no-package-lock",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ])
            .current_dir(&directory),
    )?;
    Ok(program)
}
