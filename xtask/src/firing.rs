//! `cargo xtask alerts --fire`: alerts fire in a real Prometheus, which scrapes a real control plane and
//! gateways that are brought into trouble. The rules are those that are shipped, but wait for seconds.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bench::server::{Server, free_address},
    debian,
    process::{self, Outcome, say},
    self_signed::{self, Purpose},
};

/// How long an alert may take: a gateway that vanished is missing after 75 seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long to wait between two looks at what fires.
const PAUSE: Duration = Duration::from_millis(250);

/// Too large a file is an error to be reported, as on a full disk, not a signal to die of.
const NO_SIGNAL: &str = r#"trap "" XFSZ; exec "$@""#;

pub(crate) fn run(program: &Path) -> Outcome {
    debian::require("openssl", "openssl")?;
    let directory = tempfile::tempdir()?;
    let mut deployment = Deployment::start(program, directory.path())?;
    let prometheus = Prometheus::start(&deployment, directory.path())?;
    let plane = deployment.plane_metrics;
    let (first, second) = (deployment.vanishing.admin, deployment.staying.admin);

    prometheus.until("CountersignServerCertificateExpires", first, true)?;

    deployment.activate_expiring_anchor()?;
    prometheus.until("CountersignTrustAnchorExpires", plane, true)?;

    // Its access log is on a full disk.
    deployment.staying.be_asked()?;
    prometheus.until("CountersignLogLinesLost", second, true)?;

    deployment.limit_files("0")?;
    if deployment.create_project("refused").is_ok() {
        return Err("a project was created although the disk is full".into());
    }
    prometheus.until("CountersignDatabaseUnavailable", plane, true)?;
    deployment.limit_files("unlimited")?;
    prometheus.until("CountersignDatabaseUnavailable", plane, false)?;
    deployment.create_project("made")?;

    deployment.vanishing.server = None;
    prometheus.until("CountersignDown", first, true)?;
    prometheus.until("CountersignGatewaysMissing", plane, true)?;

    deployment.plane = None;
    prometheus.until("CountersignDown", plane, true)?;
    prometheus.until("CountersignGatewayContactLost", second, true)
}

/// A control plane and two gateways.
struct Deployment {
    program: PathBuf,
    directory: PathBuf,
    plane: Option<Server>,
    plane_metrics: SocketAddr,
    base_url: String,
    admin_key: String,
    /// One that is killed.
    vanishing: Gateway,
    /// One whose access log cannot be written.
    staying: Gateway,
}

struct Gateway {
    server: Option<Server>,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Deployment {
    fn start(program: &Path, directory: &Path) -> Outcome<Self> {
        let data = directory.join("plane");
        let operator = |arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).env("COUNTERSIGN_DATA_DIR", &data);
            process::read(&mut command)
        };
        let made = operator(&["organization", "create", "--name", "a", "-o", "json"])?;
        let made: Value = serde_json::from_str(&made)?;
        let admin_key = made.pointer("/admin_key/value").and_then(Value::as_str);
        let admin_key = admin_key.ok_or("no admin key was made")?.to_owned();
        let key_file = directory.join("gateway.key");
        let key_file = key_file.display().to_string();
        operator(&[
            "gateway-key",
            "create",
            "--name",
            "a",
            "--key-file",
            &key_file,
        ])?;
        self_signed::make(Purpose::Server, directory, 3)?;

        let (address, plane_metrics) = (free_address()?, free_address()?);
        let mut plane = Command::new("sh");
        plane
            .args(["-c", NO_SIGNAL, "sh"])
            .arg(program)
            .args(["serve", "--listen", &address.to_string()])
            .args(["--metrics-listen", &plane_metrics.to_string()])
            .env("COUNTERSIGN_DATA_DIR", &data);
        let plane = Server::start_beside(&plane, address)?;
        let base_url = format!("http://{address}/v1");
        let gateway = |number| Gateway::start(program, directory, number, &base_url);
        Ok(Self {
            vanishing: gateway(0)?,
            staying: gateway(1)?,
            program: program.to_owned(),
            directory: directory.to_owned(),
            plane: Some(plane),
            plane_metrics,
            base_url,
            admin_key,
        })
    }

    fn call(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("OPENAI_ADMIN_KEY", &self.admin_key)
            .env("OPENAI_BASE_URL", &self.base_url);
        process::read(&mut command).map(drop)
    }

    fn activate_expiring_anchor(&self) -> Outcome {
        let anchor = self_signed::make(Purpose::Authority, &self.directory, 5)?;
        let file = anchor.certificate.display().to_string();
        self.call(&["certificate", "upload", &file, "--name", "expiring"])?;
        self.call(&["certificate", "activate", "expiring", "--yes"])
    }

    fn create_project(&self, name: &str) -> Outcome {
        self.call(&["project", "create", "--name", name])
    }

    /// Limits how large the control plane's files may get from now on, as a full disk would.
    fn limit_files(&self, bytes: &str) -> Outcome {
        let plane = self.plane.as_ref().ok_or("the control plane is gone")?;
        let limit = [
            format!("--pid={}", plane.process()),
            format!("--fsize={bytes}:unlimited"),
        ];
        process::read(Command::new("prlimit").args(limit)).map(drop)
    }
}

impl Gateway {
    fn start(
        program: &Path,
        directory: &Path,
        number: usize,
        control_plane: &str,
    ) -> Outcome<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let configuration = format!(
            "name = \"gateway-{number}\"\nlisten = \"{address}\"\nadmin_listen = \"{admin}\"\n\
             certificate = \"server.pem\"\nprivate_key = \"server.key\"\nkey_file = \"gateway.key\"\n\
             control_plane = \"{control_plane}\"\ndata_dir = \"gateway-{number}\"\nthreads = 1\n\
             {}\n[[routes]]\nupstream = \"http://127.0.0.1:9\"\n",
            if number == 1 {
                "access_log = \"/dev/full\"\n"
            } else {
                ""
            }
        );
        let file = directory.join(format!("gateway-{number}.toml"));
        fs::write(&file, configuration)?;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "cd \"$1\" && exec \"$2\" gateway --config \"$3\"",
                "sh",
            ])
            .args([directory, program, &file]);
        Ok(Self {
            server: Some(Server::start_beside(&command, admin)?),
            address,
            admin,
        })
    }

    /// Asks it for something, which it refuses and logs.
    fn be_asked(&self) -> Outcome {
        let url = format!("https://{}/", self.address);
        process::read(Command::new("curl").args(["--silent", "--insecure", &url])).map(drop)
    }
}

/// Prometheus, which scrapes a deployment each second.
struct Prometheus {
    _server: Server,
    address: SocketAddr,
}

impl Prometheus {
    fn start(deployment: &Deployment, directory: &Path) -> Outcome<Self> {
        let program = debian::require("prometheus", "prometheus")?;
        let rules = process::repository().join("packaging/prometheus/alerts.yml");
        fs::write(
            directory.join("alerts.yml"),
            hurried(&fs::read_to_string(rules)?),
        )?;
        let gateways = [&deployment.vanishing, &deployment.staying];
        let gateways = gateways.map(|each| format!("\"{}\"", each.admin));
        let configuration = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [alerts.yml]\nscrape_configs:\n\
             - job_name: countersign\n  static_configs: [{{ targets: [\"{}\"] }}]\n\
             - job_name: countersign-gateway\n  static_configs: [{{ targets: [{}] }}]\n",
            deployment.plane_metrics,
            gateways.join(", ")
        );
        let file = directory.join("prometheus.yml");
        fs::write(&file, configuration)?;
        let address = free_address()?;
        let mut prometheus = Command::new(program);
        prometheus
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        Ok(Self {
            _server: Server::start_beside(&prometheus, address)?,
            address,
        })
    }

    /// Waits until an alert fires for an instance, or no longer does.
    fn until(&self, alert: &str, instance: SocketAddr, fires: bool) -> Outcome {
        let begun = Instant::now();
        let (_open, pause) = mpsc::channel::<()>();
        while self.fires(alert, instance)? != fires {
            if begun.elapsed() > PATIENCE {
                let firing = self.alerts()?;
                return Err(
                    format!("{alert} for {instance} is not as it should be: {firing}").into(),
                );
            }
            let _ = pause.recv_timeout(PAUSE);
        }
        let what = if fires { "fires" } else { "is over" };
        say(&format!("{alert} {what} ({} s)", begun.elapsed().as_secs()));
        Ok(())
    }

    fn fires(&self, alert: &str, instance: SocketAddr) -> Outcome<bool> {
        let alerts = self.alerts()?;
        let alerts = alerts.pointer("/data/alerts").and_then(Value::as_array);
        let is_it = |each: &&Value| {
            let label = |name: &str| each.pointer(&format!("/labels/{name}"));
            let is = |name: &str, value: &str| label(name).is_some_and(|label| label == value);
            is("alertname", alert) && is("instance", &instance.to_string())
        };
        let found = alerts.and_then(|alerts| alerts.iter().find(is_it));
        Ok(found.is_some_and(|alert| alert.get("state").is_some_and(|state| state == "firing")))
    }

    fn alerts(&self) -> Outcome<Value> {
        let url = format!("http://{}/api/v1/alerts", self.address);
        let retry = ["--retry", "10", "--retry-all-errors", "--silent", "--fail"];
        let answer = process::read(Command::new("curl").args(retry).arg(url))?;
        Ok(serde_json::from_str(&answer)?)
    }
}

/// The rules as they are, except that none waits for longer than a second.
fn hurried(rules: &str) -> String {
    let lines = rules.lines().map(|line| match line.split_once("for: ") {
        Some((indentation, _)) if indentation.trim().is_empty() => format!("{indentation}for: 1s"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
