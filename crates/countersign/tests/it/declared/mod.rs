//! `plan`, `apply` and `export`: a file of what shall be, against a real server.

mod assertions;
pub(crate) mod between;
mod changes;
mod denials;
mod doubles;
mod exported;
mod mistakes;
mod other_server;
mod page;
mod providers;
mod two_operators;

use std::{fs, process::Command};

use countersign_testca::root;
use serde_json::Value;
use tempfile::TempDir;

use crate::{running::Dev, shell::seen};

/// A `dev` server and a directory with a file and PEM files.
pub(crate) struct Scene {
    pub(crate) dev: Dev,
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dev = Dev::start(directory.path());
        Self { dev, directory }
    }

    /// Makes CA certificates, `NAME.pem` each.
    pub(crate) fn cas(&self, names: &[&str]) {
        for name in names {
            self.write(&format!("{name}.pem"), &root(name).mint().pem());
        }
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.path().join(file), text).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.path().join(file)).unwrap()
    }

    /// Uploads `NAME.pem` under that name, and answers its id.
    pub(crate) fn upload(&self, name: &str) -> String {
        let file = format!("{name}.pem");
        let uploaded = self
            .dev
            .json(&["certificate", "upload", &file, "--name", name]);
        uploaded["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn project(&self) -> String {
        self.dev.env["OPENAI_PROJECT_ID"].clone()
    }

    pub(crate) fn command(&self, verb: &str, more: &[&str]) -> Command {
        self.dev.command(&[&[verb, "trust.toml"], more].concat())
    }

    /// What `plan` says, as people read it, with its exit code.
    pub(crate) fn plan(&self) -> String {
        seen(self.command("plan", &["-o", "table"]))
    }

    pub(crate) fn apply(&self, more: &[&str]) -> String {
        let args = [&["--yes", "-o", "table"], more].concat();
        seen(self.command("apply", &args))
    }

    /// Applies, which must work, and asks whether it is done with it.
    #[track_caller]
    pub(crate) fn applied(&self, more: &[&str]) {
        let printed = self.apply(more);
        assert!(printed.starts_with("exit 0"), "{printed}");
        let again = self.plan();
        assert!(again.starts_with("exit 0"), "{again}");
    }

    /// The names of what is active at the organization or a project, with how.
    pub(crate) fn active(&self, project: Option<&str>) -> Vec<String> {
        let at = project.map_or_else(Vec::new, |id| vec!["--project", id]);
        let list = ["certificate", "list", "--order", "asc"];
        let listed = self.dev.json(&[list.as_slice(), &at].concat());
        let all = listed.as_array().unwrap().iter();
        all.filter(|each| each["active"] == true)
            .map(|each| {
                let name = each["name"].as_str().unwrap_or("-");
                match each.get("enforcement").and_then(Value::as_str) {
                    Some(how) => format!("{name} {how}"),
                    None => name.to_owned(),
                }
            })
            .collect()
    }
}
