//! What operators do to a running gateway: they send signals, rotate its log, change its configuration,
//! fill its disk, and stop it.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use countersign_client::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

use crate::{
    client::{Tls, plain_get},
    process::{Deployment, Process, Starting, free_address, patient_client},
    upstream,
    world::{LIMIT, make_project},
};

/// A gateway as a process, with its control plane, and a key that it lets through.
pub(crate) struct Operated {
    pub(crate) directory: TempDir,
    pub(crate) plane: Process,
    pub(crate) gateway: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) client: Tls,
    pub(crate) key: String,
    pub(crate) admin_key: String,
    /// With that key.
    pub(crate) api: Client,
}

impl Operated {
    /// With these lines at the top of the gateway's configuration.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::with_variables(lines, &[]).await
    }

    /// The same, with these variables in the environment of both processes.
    pub(crate) async fn with_variables(lines: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut deployment = Deployment::local(directory.path());
        let variables = variables.iter();
        deployment.variables = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (plane_address, address, admin) = (free_address(), free_address(), free_address());
        let admin_key = deployment.prepare(upstream::start().await, &[(plane_address, address)]);
        let path = directory.path().join("gateway-0.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            format!("admin_listen = \"{admin}\"\n{lines}\n{text}"),
        )
        .unwrap();
        let plane = deployment.plane(plane_address);
        let api = patient_client(plane_address, &admin_key);
        let (_, key) = make_project(&api, "alpha").await;
        let operated = Self {
            gateway: deployment.gateway(0),
            client: Tls::new(&deployment.server_ca, &[]),
            directory,
            plane,
            api,
            admin_key,
            address,
            admin,
            key,
        };
        let passes = async { while !operated.passes().await {} };
        timeout(LIMIT, passes).await.unwrap();
        operated
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn passes(&self) -> bool {
        let code = self.client.try_code(self.address, &self.key).await;
        code.as_deref() == Some("")
    }

    /// So many requests that pass, with long lines in the access log.
    pub(crate) async fn make_requests(&self, count: u32) {
        let mut connection = self.client.connect(self.address).await;
        let path = format!("/{}", "x".repeat(500));
        for _ in 0..count {
            assert_eq!(connection.get(&path, &self.key, "").await.status, 200);
        }
    }

    async fn ready(&self) -> Value {
        serde_json::from_str(&plain_get(self.admin, "/readyz").await).unwrap()
    }

    /// Waits until `/readyz` fits.
    async fn until_ready(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        let waiting = async {
            while !fits(&self.ready().await) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, waiting).await.expect(what);
    }

    /// Waits until a warning of `/readyz` says this, or none does.
    pub(crate) async fn until_warned(&self, words: &str, wanted: bool) {
        let fits = |ready: &Value| ready["warnings"].to_string().contains(words) == wanted;
        self.until_ready(words, fits).await;
    }

    pub(crate) async fn until_logged(&self, words: &str) {
        let waiting = async {
            while !self.gateway.log().contains(words) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, waiting).await.expect(words);
    }

    pub(crate) fn configure(&self, change: impl Fn(&str) -> String) {
        let path = self.path("gateway-0.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&text)).unwrap();
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

async fn until_lines(path: &Path, at_least: usize) {
    let waiting = async {
        while lines(path) < at_least {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, waiting).await.expect("lines in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_access_log_is_opened_again() {
    let operated = Operated::with("access_log = \"access.log\"").await;
    let (log, old) = (operated.path("access.log"), operated.path("access.log.1"));
    let mut had = 0;
    for (earlier, signal) in ["HUP", "USR1"].into_iter().enumerate() {
        until_lines(&log, 1).await;
        fs::rename(&log, &old).unwrap();
        operated.gateway.signal(signal);
        let opened = async {
            let is_said = || {
                operated
                    .gateway
                    .log()
                    .matches("access log opened again")
                    .count()
            };
            while is_said() == earlier {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, opened).await.unwrap();
        assert!(log.exists(), "before anything is written to it");
        had = lines(&old);
        assert!(operated.passes().await, "after SIG{signal}");
        until_lines(&log, 1).await;
        assert_eq!(lines(&old), had, "nothing is written to the old one");
    }
    assert!(had > 0);
    operated.gateway.signal("USR2");
    operated.until_logged("SIGUSR2 has no meaning").await;
    assert!(operated.passes().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_change_without_a_restart_and_bad_ones_change_nothing() {
    let operated = Operated::with("").await;
    let key = &operated.key;
    let mut idle = operated.client.connect(operated.address).await;
    assert_eq!(idle.get("/v1/models", key, "").await.status, 200);

    // No route serves this path any more.
    let change = |text: &str| text.replace("[[routes]]\n", "[[routes]]\npath = \"/other\"\n");
    operated.configure(change);
    operated.configure(|text| format!("threads = 2\n{}", text.replace("threads = 1\n", "")));
    operated.gateway.signal("HUP");
    operated.until_logged("configuration reloaded").await;
    operated.until_logged("`threads` has changed").await;
    // A connection that was open serves under the new routes: closed under its client, it could lose
    // the request that comes at that moment.
    let mut fresh = operated.client.connect(operated.address).await;
    for connection in [&mut idle, &mut fresh] {
        let gone = async { while connection.get("/v1/models", key, "").await.status != 404 {} };
        timeout(LIMIT, gone).await.unwrap();
        assert_eq!(connection.get("/other/models", key, "").await.status, 200);
    }

    for (bad, says) in [
        ("nonsense = 1\n", "nonsense"),
        ("[[[", "gateway-0.toml:1"),
        ("xfcc_header = 7\n", "gateway-0.toml:1: invalid type"),
    ] {
        let good = fs::read_to_string(operated.path("gateway-0.toml")).unwrap();
        operated.configure(|text| format!("{bad}{text}"));
        operated.gateway.signal("HUP");
        operated
            .until_warned("the old one stays in use", true)
            .await;
        let warnings = operated.ready().await["warnings"].to_string();
        assert!(warnings.contains(says), "{warnings}");
        let metrics = plain_get(operated.admin, "/metrics").await;
        assert!(metrics.contains("countersign_gateway_last_reload_successful 0"));
        let mut still = operated.client.connect(operated.address).await;
        assert_eq!(still.get("/other/models", key, "").await.status, 200);
        operated.configure(|_| good.clone());
        operated.gateway.signal("HUP");
        operated
            .until_warned("the old one stays in use", false)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_without_changes_touches_no_connection() {
    let operated = Operated::with("").await;
    let key = &operated.key;
    let mut idle = operated.client.connect(operated.address).await;
    assert_eq!(idle.get("/v1/models", key, "").await.status, 200);
    operated.gateway.signal("HUP");
    operated.until_logged("configuration reloaded").await;
    assert_eq!(idle.get("/v1/models", key, "").await.status, 200);

    // Nor does a configuration that the gateway could not start with.
    let good = fs::read_to_string(operated.path("gateway-0.toml")).unwrap();
    operated.configure(|text| text.replace("server.pem", "nowhere.pem"));
    operated.gateway.signal("HUP");
    operated.until_warned("nowhere.pem", true).await;
    operated.configure(|_| good.clone());
    operated.gateway.signal("HUP");
    operated.until_warned("nowhere.pem", false).await;
    assert_eq!(idle.get("/v1/models", key, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_head_holds_up_no_stop() {
    let operated = Operated::with("").await;
    let mut half = operated.client.connect(operated.address).await;
    half.write("GET / HT").await;
    // Others are served by then, so it was read.
    assert!(operated.passes().await);
    operated.gateway.signal("TERM");
    // Long before requests under way would be cut.
    let end = timeout(LIMIT, half.rest()).await.unwrap();
    assert!(end.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_opened_holds_up_no_stop() {
    let operated = Operated::with("access_log = \"access.log\"").await;
    let log = operated.path("access.log");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    operated.gateway.signal("USR1");
    operated.until_warned("not opened again", true).await;
    fs::remove_dir(&log).unwrap();
    // A pipe that nobody reads.
    let made = std::process::Command::new("mkfifo").arg(&log).status();
    assert!(made.unwrap().success());
    operated.gateway.signal("USR1");
    assert!(operated.passes().await);
    operated.gateway.signal("TERM");
    let gone = async { while operated.passes().await {} };
    timeout(LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_stops_no_traffic_and_is_said_aloud() {
    let operated = Operated::with("access_log = \"access.log\"").await;
    let log = operated.path("access.log");
    until_lines(&log, 1).await;
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    operated.gateway.signal("USR1");
    operated.until_logged("access log opened again").await;
    operated.make_requests(200).await;
    operated
        .until_warned("the access log cannot be written", true)
        .await;
    assert_eq!(operated.ready().await["ready"], true);
    let waiting = "countersign_gateway_access_log_lines_waiting ";
    let metrics = plain_get(operated.admin, "/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(waiting));
    assert!(line.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");

    // What could not be written waits.
    fs::remove_file(&log).unwrap();
    operated.gateway.signal("USR1");
    operated
        .until_warned("the access log cannot be written", false)
        .await;
    until_lines(&log, 200).await;
    let metrics = plain_get(operated.admin, "/metrics").await;
    assert!(metrics.contains("countersign_gateway_access_log_lines_lost_total 0\n"));

    // At the end it is lost, and that is said.
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    operated.gateway.signal("USR1");
    // Until it is opened again, lines reach the file of before.
    let cannot = "the access log cannot be written";
    let written_in_vain = async {
        while !operated.ready().await["warnings"]
            .to_string()
            .contains(cannot)
        {
            operated.make_requests(1).await;
        }
    };
    timeout(LIMIT, written_in_vain).await.expect(cannot);
    operated.gateway.signal("TERM");
    operated
        .until_logged("lines of the access log are lost")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_nobody_reads_stop_no_traffic() {
    let operated = Operated::with("access_log = \"access.log\"").await;
    let log = operated.path("access.log");
    drop(operated.gateway);
    fs::remove_file(&log).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&log).status();
    assert!(made.unwrap().success());
    let deployment = Deployment::local(log.parent().unwrap());
    let operated = Operated {
        gateway: deployment.unread_gateway(0),
        ..operated
    };
    operated
        .until_ready("it serves", |ready| ready["ready"] == true)
        .await;
    // More than both pipes take: 64 KiB each.
    operated.make_requests(200).await;
    let mut refused = operated.client.connect(operated.address).await;
    for _ in 0..500 {
        let answer = refused.get("/v1/models", "unknown", "").await;
        assert_eq!(answer.status, 401);
    }
    operated
        .until_warned("it takes nothing any more", true)
        .await;
    assert_eq!(operated.ready().await["ready"], true);
    // Of what the program logs, nothing is lost while there is room in memory.
    operated.gateway.signal("USR1");
    assert!(operated.passes().await);
    operated.gateway.signal("TERM");
    let gone = async { while operated.passes().await {} };
    timeout(LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told_how_the_gateway_fares() {
    let operated = Operated::with("").await;
    let path = operated.path("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    drop(operated.gateway);
    let deployment = Deployment::local(path.parent().unwrap());
    let gateway = deployment.supervised_gateway(0, &path);
    let hears = async |wanted: &str| {
        let hearing = async {
            let mut said = [0; 64];
            loop {
                let read = manager.recv(&mut said).await.unwrap();
                if said.get(..read).unwrap() == format!("{wanted}\n").as_bytes() {
                    return;
                }
            }
        };
        timeout(LIMIT, hearing).await.expect(wanted);
    };
    hears("READY=1").await;
    hears("WATCHDOG=1").await;
    hears("WATCHDOG=1").await;
    gateway.signal("HUP");
    hears("RELOADING=1").await;
    hears("READY=1").await;
    gateway.signal("TERM");
    hears("STOPPING=1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_clients_here_hears_of_the_end_before_it_comes() {
    // Longer than the test takes: the end does not come by itself.
    let operated = Operated::with("").await;
    operated.configure(|text| format!("{text}\n[limits]\ndrain_delay = 600\n"));
    let configuration = operated.path("gateway-0.toml");
    drop(operated.gateway);
    let deployment = Deployment::local(configuration.parent().unwrap());
    let operated = Operated {
        gateway: deployment.gateway(0),
        ..operated
    };
    operated
        .until_ready("it serves", |ready| ready["ready"] == true)
        .await;
    operated.gateway.signal("TERM");
    operated
        .until_ready("it is stopping", |ready| ready["ready"] == false)
        .await;
    assert_eq!(operated.ready().await["reason"], "the gateway is stopping");
    assert!(
        operated.passes().await,
        "new connections are accepted still"
    );
    // Whoever cannot wait says so again.
    operated.gateway.signal("TERM");
    let gone = async { while operated.passes().await {} };
    timeout(LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_the_gateway_is_read_again_and_a_bad_one_changes_nothing() {
    let operated = Operated::with("").await;
    let key_file = operated.path("key");
    let good = fs::read_to_string(&key_file).unwrap();

    fs::remove_file(&key_file).unwrap();
    operated.gateway.signal("HUP");
    operated.until_warned("there is no file `key`", true).await;
    let (_, next) = make_project(&operated.api, "beta").await;
    let passes = async || operated.client.try_code(operated.address, &next).await;
    let enforced = async { while passes().await.as_deref() != Some("") {} };
    timeout(LIMIT, enforced).await.expect("the old key is used");

    // One that the control plane does not know is taken up, and cannot pull.
    fs::write(&key_file, "sk-gateway-unknown").unwrap();
    operated.gateway.signal("HUP");
    operated.until_warned("there is no file `key`", false).await;
    let (_, next) = make_project(&operated.api, "gamma").await;
    operated.until_logged("cannot pull the bundle").await;

    fs::write(&key_file, good).unwrap();
    operated.gateway.signal("HUP");
    let passes = async || operated.client.try_code(operated.address, &next).await;
    let enforced = async { while passes().await.as_deref() != Some("") {} };
    timeout(LIMIT, enforced).await.expect("the new key is used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_before_the_configuration_is_read_ends_nothing() {
    let operated = Operated::with("").await;
    let configuration = operated.path("gateway-0.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    drop(operated.gateway);
    fs::remove_file(&configuration).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&configuration)
        .status();
    assert!(made.unwrap().success());
    let deployment = Deployment::local(configuration.parent().unwrap());
    let starting = Starting::begin(&mut deployment.gateway_command(0));
    // This waits until the other end is opened, so that the gateway has begun.
    let mut pipe = fs::File::options()
        .write(true)
        .open(&configuration)
        .unwrap();
    for signal in ["HUP", "USR1", "USR2"] {
        starting.signal(signal);
    }
    pipe.write_all(text.as_bytes()).unwrap();
    drop(pipe);
    let gateway = starting.until("gateway listening");
    // What was asked for meanwhile is done now.
    let mut pipe = fs::File::options()
        .write(true)
        .open(&configuration)
        .unwrap();
    pipe.write_all(text.as_bytes()).unwrap();
    drop(pipe);
    let operated = Operated {
        gateway,
        ..operated
    };
    operated.until_logged("configuration reloaded").await;
    let passes = async { while !operated.passes().await {} };
    timeout(LIMIT, passes).await.unwrap();
}

/// Whether every line is JSON, without an empty field.
fn has_full_lines(log: &str) -> bool {
    let is_empty = |value: &Value| value.is_null() || value == "";
    let mut lines = log.lines().map(serde_json::from_str::<Value>);
    lines.all(|line| {
        let fields = line.as_ref().ok().and_then(Value::as_object);
        fields.is_some_and(|fields| !fields.values().any(is_empty))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_in_a_pipe_are_json_without_empty_fields_unless_configured_otherwise() {
    let operated = Operated::with("access_log = \"access.log\"").await;
    assert_eq!(
        operated
            .client
            .try_code(operated.address, "x")
            .await
            .as_deref(),
        Some("invalid_api_key")
    );
    let mut half = operated.client.connect(operated.address).await;
    half.write("GET / HTTP/1.1\r\nno colon\r\n\r\n").await;
    operated.gateway.signal("HUP");
    operated.until_logged("configuration reloaded").await;
    let access_log = operated.path("access.log");
    until_lines(&access_log, 3).await;
    for log in [
        operated.gateway.log(),
        operated.plane.log(),
        fs::read_to_string(&access_log).unwrap(),
    ] {
        assert!(!log.is_empty() && has_full_lines(&log), "{log}");
    }
    let logged = operated.plane.log();
    let lines = logged
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let durations = lines.filter_map(|line| line.get("duration_us").cloned());
    assert!(
        durations.into_iter().all(|duration| duration.is_u64()),
        "{logged}"
    );

    operated.configure(|text| format!("log = {{ format = \"human\", level = \"warn\" }}\n{text}"));
    operated.gateway.signal("HUP");
    operated.until_logged("`log.format` has changed").await;
    operated.configure(|text| text.replace("warn", "info"));
    drop(operated.gateway);
    let deployment = Deployment::local(access_log.parent().unwrap());
    let gateway = deployment.gateway(0);
    gateway.signal("HUP");
    let operated = Operated {
        gateway,
        ..operated
    };
    operated.until_logged("configuration reloaded").await;
    assert!(!has_full_lines(&operated.gateway.log()));
}
