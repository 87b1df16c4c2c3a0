//! Countersign's own gateway: the release build, with a real control plane, an active anchor and a
//! bearer key, so that every request is judged.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    bench::{
        gateway::{
            proxy::{Proxy, UNOBSERVED},
            traffic::{Load, Target, Traffic},
        },
        load::{ask, request},
        server::{Server, free_address},
    },
    process::{self, Outcome, wait_for},
};

/// The program, and a control plane for its gateways.
pub(crate) struct Countersign {
    pub(crate) program: PathBuf,
    /// Runs on the load's core; it has nothing to do while requests are measured.
    pub(crate) control_plane: Server,
    pub(crate) administration: Administration,
    base_url: String,
    gateway_key: PathBuf,
    api_key: String,
}

/// Builds the program.
pub(crate) fn build(quick: bool) -> Outcome<PathBuf> {
    let (profile, built) = if quick {
        ("dev", "debug")
    } else {
        ("dist", "dist")
    };
    let what = ["build", "--package", "countersign", "--bin", "countersign"];
    process::run(process::cargo().args(what).args(["--profile", profile]))?;
    Ok(process::target_directory().join(built).join("countersign"))
}

impl Countersign {
    /// Starts the control plane and activates the client CA for the project.
    pub(crate) fn prepare(program: PathBuf, directory: &Path, name: &str) -> Outcome<Self> {
        let data = directory.join(format!("control-plane-{name}"));
        let address = free_address()?;
        let mut command = Command::new(&program);
        command
            .args(["dev", "--listen", &address.to_string()])
            .args(["--gateway-listen", &free_address()?.to_string()])
            .arg("--data-dir")
            .arg(&data);
        let control_plane = Server::start_beside(&command, address)?;
        let exports = wait_for(|| Ok(fs::read_to_string(data.join("dev.env"))?))?;
        let variable = |name: &str| variable(&exports, name);
        let administration = Administration {
            address,
            key: variable("OPENAI_ADMIN_KEY")?,
            project: variable("OPENAI_PROJECT_ID")?,
        };
        administration.activate(&fs::read_to_string(directory.join("ca.pem"))?)?;
        Ok(Self {
            program,
            control_plane,
            administration,
            base_url: variable("OPENAI_BASE_URL")?,
            gateway_key: data.join("gateway.key"),
            api_key: variable("OPENAI_API_KEY")?,
        })
    }

    /// Starts a gateway under a name, which says whether it observes, and waits until it lets a
    /// request through.
    pub(crate) fn start(
        &self,
        traffic: &Traffic,
        upstream: SocketAddr,
        name: &'static str,
    ) -> Outcome<Proxy> {
        self.start_with(traffic, upstream, name, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(
        &self,
        traffic: &Traffic,
        upstream: SocketAddr,
        name: &'static str,
        more: &str,
    ) -> Outcome<Proxy> {
        let observes = name != UNOBSERVED;
        let directory = &traffic.directory;
        let address = free_address()?;
        let file = |name: &str| json!(directory.join(name)).to_string();
        let own = format!("gateway-{}", address.port());
        let configuration = format!(
            "listen = \"{address}\"\ncertificate = {}\nprivate_key = {}\ncontrol_plane = {}\n\
             key_file = {}\ndata_dir = {}\nobservations = {observes}\n\n[[routes]]\nupstream = \"http://{upstream}\"\n{more}",
            file("server.pem"),
            file("server.key"),
            json!(self.base_url),
            json!(self.gateway_key),
            file(&own),
        );
        let path = directory.join(own + ".toml");
        fs::write(&path, configuration)?;
        let mut command = Command::new(&self.program);
        command.args(["gateway", "--config"]).arg(path);
        let proxy = Proxy {
            name,
            server: Server::start(&command, address)?,
            target: Target {
                address,
                key: self.api_key.clone(),
            },
        };
        let once = Load {
            kind: vec!["connections".to_owned()],
            count: 1,
            leaf: 0,
        };
        wait_for(|| traffic.send(&proxy.target, &once))?;
        Ok(proxy)
    }
}

/// The value of a variable among shell exports.
fn variable(exports: &str, name: &str) -> Outcome<String> {
    let value = exports.lines().find_map(|line| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (given, value) = line.split_once('=')?;
        (given == name).then(|| value.trim_matches(['\'', '"']).to_owned())
    });
    value.ok_or_else(|| format!("`dev.env` does not name `{name}`").into())
}

/// The control plane's API, for the organization of the benchmark.
pub(crate) struct Administration {
    address: SocketAddr,
    key: String,
    pub(crate) project: String,
}

impl Administration {
    /// Creates something; gives its id.
    pub(crate) fn create(&self, path: &str, body: &Value) -> Outcome<String> {
        let path = format!("/v1/organization/{path}");
        let made = ask(
            self.address,
            &request("POST", &path, &self.key, &body.to_string()),
        )?;
        let made: Value = serde_json::from_slice(&made)?;
        let id = made.get("id").and_then(Value::as_str);
        Ok(id.ok_or("something was created without an id")?.to_owned())
    }

    fn activate(&self, pem: &str) -> Outcome {
        let body = json!({ "certificate": pem, "name": "benchmark" });
        let id = self.create("certificates", &body)?;
        let body = json!({ "certificate_ids": [id] }).to_string();
        let project = &self.project;
        let path = format!("/v1/organization/projects/{project}/certificates/activate");
        ask(self.address, &request("POST", &path, &self.key, &body)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn a_variable_is_found_whatever_its_quotes() {
        let exports = "# keys\nexport A='1'\nB=\"2\"\nexport C=3\n";
        for (name, value) in [("A", "1"), ("B", "2"), ("C", "3")] {
            assert_eq!(variable(exports, name).unwrap(), value);
        }
        assert!(variable(exports, "D").is_err());
    }
}
