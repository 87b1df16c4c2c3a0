//! Three PostgreSQL servers under Patroni, which keeps its lock in etcd, behind HAProxy. All of it is on
//! loopback, in one directory, and ends with this process.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, interval, timeout},
};

use super::LIMIT;
use crate::process::free_address;

/// How often a condition of the cluster is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How many lines of each log are shown when a condition does not come.
const LINES: usize = 15;

/// How the control planes find the primary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By HAProxy, which asks Patroni which server it is.
    Haproxy,
    /// By a URL with every server, of which one takes writes.
    SeveralHosts,
}

/// How a primary ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As in a power cut: PostgreSQL and Patroni are killed.
    Killed,
    /// It stands still, and its connections stay open.
    Frozen,
}

/// Kills whatever works in the directory once this process lets go of its input, then removes it.
const WATCH: &str = r#"trap "" INT TERM HUP
read -r _
while :; do
  found=
  for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd")/" in
      "$0"/*) kill -s KILL "${process#/proc/}" && found=yes ;;
    esac
  done
  [ -n "$found" ] || break
done
rm -rf "$0""#;

struct Node {
    directory: PathBuf,
    postgres: SocketAddr,
    api: SocketAddr,
}

/// The cluster.
pub(super) struct Cluster {
    directory: PathBuf,
    /// Where PostgreSQL's programs are.
    programs: String,
    /// Whom everything runs as where we are root: PostgreSQL refuses to be.
    user: Option<String>,
    password: String,
    synchronous: bool,
    etcd: SocketAddr,
    nodes: Vec<Node>,
    haproxy: SocketAddr,
    children: Vec<Child>,
    watcher: Child,
}

impl Cluster {
    /// Starts it, and waits until two standbys follow a primary.
    pub(super) async fn start(synchronous: bool) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("countersign-")
            .tempdir_in("/var/tmp")
            .unwrap()
            .keep();
        let watcher = Command::new("sh")
            .args(["-c", WATCH])
            .arg(&directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let node = |number| Node {
            directory: directory.join(format!("node{number}")),
            postgres: free_address(),
            api: free_address(),
        };
        let password = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let mut cluster = Self {
            programs: env::var("COUNTERSIGN_FAILOVER_POSTGRES").unwrap(),
            user: env::var("COUNTERSIGN_FAILOVER_USER").ok(),
            password: password.trim().to_owned(),
            synchronous,
            etcd: free_address(),
            nodes: (0..3).map(node).collect(),
            haproxy: free_address(),
            children: Vec::new(),
            watcher,
            directory,
        };
        cluster.prepare();
        cluster.start_etcd();
        for number in 0..cluster.nodes.len() {
            cluster.start_node(number);
        }
        cluster.start_haproxy();
        cluster.until_whole().await;
        cluster
    }

    /// The URL of a database.
    pub(super) fn url(&self, way: Way, database: &str) -> String {
        let password = &self.password;
        let hosts = match way {
            Way::Haproxy => self.haproxy.to_string(),
            Way::SeveralHosts => {
                let hosts: Vec<_> = self
                    .nodes
                    .iter()
                    .map(|node| node.postgres.to_string())
                    .collect();
                hosts.join(",")
            }
        };
        let query = match way {
            // A limit that ends sooner than ours would end the wait for a standby, if it could.
            Way::Haproxy if self.synchronous => "?options=-c%20statement_timeout%3D5s",
            Way::Haproxy => "",
            Way::SeveralHosts => "?target_session_attrs=read-write",
        };
        format!("postgres://postgres:{password}@{hosts}/{database}{query}")
    }

    fn prepare(&self) {
        for node in &self.nodes {
            fs::create_dir(&node.directory).unwrap();
            let file = node.directory.join("patroni.json");
            fs::write(file, self.patroni(node).to_string()).unwrap();
        }
        fs::write(self.directory.join("haproxy.cfg"), self.haproxy_file()).unwrap();
        if let Some(user) = &self.user {
            let mut chown = Command::new("chown");
            let status = chown.args(["-R", user]).arg(&self.directory).status();
            assert!(status.unwrap().success());
        }
    }

    fn patroni(&self, node: &Node) -> Value {
        let account = |name: &str| json!({ "username": name, "password": self.password });
        let address =
            |address: SocketAddr| json!({ "listen": address, "connect_address": address });
        let mut postgresql = json!({
            "data_dir": node.directory.join("data"),
            "bin_dir": self.programs,
            "pgpass": node.directory.join("pgpass"),
            "authentication": {
                "superuser": account("postgres"),
                "replication": account("replicator"),
                "rewind": account("rewinder"),
            },
            "parameters": { "unix_socket_directories": node.directory },
            "pg_hba": [
                "host all all 127.0.0.1/32 scram-sha-256",
                "host replication all 127.0.0.1/32 scram-sha-256",
            ],
            "remove_data_directory_on_rewind_failure": true,
            "remove_data_directory_on_diverged_timelines": true,
        });
        merge(&mut postgresql, address(node.postgres));
        json!({
            "scope": "countersign",
            "name": node.directory.file_name().and_then(|name| name.to_str()),
            "restapi": address(node.api),
            "etcd3": { "host": self.etcd },
            "bootstrap": {
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "maximum_lag_on_failover": 1_u64 << 40,
                    "synchronous_mode": self.synchronous,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "parameters": { "max_connections": 100, "wal_log_hints": "on" },
                    },
                },
                "initdb": [{ "encoding": "UTF8" }, { "locale": "C" }, "data-checksums"],
            },
            "postgresql": postgresql,
        })
    }

    fn haproxy_file(&self) -> String {
        let mut text = format!(
            "global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  \
             timeout server 1h\n  timeout check 2s\nlisten primary\n  bind {}\n  \
             option httpchk OPTIONS /primary\n  http-check expect status 200\n  \
             default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions\n",
            self.haproxy
        );
        for (number, node) in self.nodes.iter().enumerate() {
            let port = node.api.port();
            text.push_str(&format!(
                "  server node{number} {} check port {port}\n",
                node.postgres
            ));
        }
        text
    }

    /// Starts a program in a directory of the cluster, by which it is found again.
    fn launch(&mut self, directory: &Path, program: &[&str]) {
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]);
                command
            }
            None => Command::new("env"),
        };
        let name = program[0];
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join(format!("{name}.log")))
            .unwrap();
        let child = command
            .args(program)
            .current_dir(directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.children.push(child.unwrap());
    }

    fn start_etcd(&mut self) {
        let (client, peer) = (
            format!("http://{}", self.etcd),
            format!("http://{}", free_address()),
        );
        let directory = self.directory.clone();
        let arguments = [
            "etcd".to_owned(),
            "--name=etcd".to_owned(),
            "--data-dir=etcd".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=etcd={peer}"),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.launch(&directory, &arguments);
    }

    fn start_haproxy(&mut self) {
        let directory = self.directory.clone();
        self.launch(&directory, &["haproxy", "-db", "-f", "haproxy.cfg"]);
    }

    /// Starts a node, which joins as a standby if there is a primary.
    pub(super) fn start_node(&mut self, number: usize) {
        let directory = self.nodes[number].directory.clone();
        self.launch(&directory, &["patroni", "patroni.json"]);
    }

    /// From now on, what is committed at this primary reaches no standby.
    pub(super) fn hold_replication(&self, number: usize) {
        let all = processes_in(&self.nodes[number].directory);
        let senders = all
            .into_iter()
            .filter(|(_, line)| line.contains("walsender"));
        let senders: Vec<_> = senders.map(|(id, _)| id).collect();
        assert_eq!(senders.len(), 2, "two standbys follow");
        signal("STOP", &senders);
    }

    /// Ends a node.
    pub(super) fn end(&mut self, number: usize, end: End) {
        let directory = self.nodes[number].directory.clone();
        loop {
            let all: Vec<_> = processes_in(&directory)
                .into_iter()
                .map(|(id, _)| id)
                .collect();
            match end {
                End::Frozen => return signal("STOP", &all),
                End::Killed if all.is_empty() => break,
                End::Killed => signal("KILL", &all),
            }
            // What was killed stays listed until it is waited for.
            self.children
                .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        }
    }

    /// A connection to a database of a server; none when that does not answer in time.
    async fn connect(&self, number: usize, database: &str) -> Option<tokio_postgres::Client> {
        let address = self.nodes[number].postgres;
        let url = format!("postgres://postgres:{}@{address}/{database}", self.password);
        let connecting = tokio_postgres::connect(&url, tokio_postgres::NoTls);
        let (client, connection) = timeout(Duration::from_secs(1), connecting)
            .await
            .ok()?
            .ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// What a query of one text answers; none when the server does not.
    async fn ask(&self, number: usize, sql: &str) -> Option<String> {
        let client = self.connect(number, "postgres").await?;
        let row = timeout(Duration::from_secs(1), client.query_one(sql, &[])).await;
        row.ok()?.ok()?.try_get(0).ok()
    }

    async fn is_primary(&self, number: usize) -> bool {
        self.ask(number, "SELECT pg_is_in_recovery()::text")
            .await
            .as_deref()
            == Some("false")
    }

    /// Which node takes writes, besides one that ended; and since when.
    pub(super) async fn until_primary(&self, but: Option<usize>) -> (usize, Instant) {
        let found = async {
            let mut looks = interval(LOOK);
            loop {
                looks.tick().await;
                for number in (0..self.nodes.len()).filter(|number| Some(*number) != but) {
                    if self.is_primary(number).await {
                        return (number, Instant::now());
                    }
                }
            }
        };
        match timeout(LIMIT, found).await {
            Ok(found) => found,
            Err(_) => panic!("no primary within {LIMIT:?}\n{}", self.said().await),
        }
    }

    /// Waits until two standbys follow the primary, and if so wanted, Patroni would promote one of them.
    pub(super) async fn until_whole(&self) {
        // A server that is still being copied streams under another name.
        let sql = "SELECT count(*)::text FROM pg_stat_replication \
                   WHERE state = 'streaming' AND application_name LIKE 'node%'";
        let whole = async {
            let mut looks = interval(LOOK);
            loop {
                looks.tick().await;
                let (primary, _) = self.until_primary(None).await;
                let follow = self.ask(primary, sql).await.as_deref() == Some("2");
                if follow && (!self.synchronous || self.has_synchronous_standby(primary).await) {
                    return;
                }
            }
        };
        if timeout(LIMIT, whole).await.is_err() {
            panic!("not whole within {LIMIT:?}\n{}", self.said().await);
        }
    }

    /// Whether Patroni's own key names a standby that may be promoted when this primary ends. PostgreSQL waits
    /// for that standby before: Patroni names it seconds later, and until then promotes nobody.
    async fn has_synchronous_standby(&self, primary: usize) -> bool {
        let Some(cluster) = self.cluster_as_of(primary).await else {
            return false;
        };
        let name = format!("node{primary}");
        let members = cluster.get("members").and_then(Value::as_array);
        let has = |role: &str, is_name: bool| {
            members.into_iter().flatten().any(|member| {
                member.get("role").and_then(Value::as_str) == Some(role)
                    && (member.get("name").and_then(Value::as_str) == Some(&name)) == is_name
            })
        };
        has("leader", true) && has("sync_standby", false)
    }

    /// What a node's Patroni reads in etcd about the members; none when it does not answer.
    async fn cluster_as_of(&self, number: usize) -> Option<Value> {
        let asked = async {
            let mut stream = TcpStream::connect(self.nodes[number].api).await.ok()?;
            let request = b"GET /cluster HTTP/1.0\r\n\r\n";
            stream.write_all(request).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (_, body) = answer.split_once("\r\n\r\n")?;
            serde_json::from_str(body).ok()
        };
        timeout(Duration::from_secs(2), asked).await.ok()?
    }

    /// What each Patroni reads and wrote last.
    async fn said(&self) -> String {
        let mut said = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let cluster = self.cluster_as_of(number).await;
            let cluster = cluster.map_or("no answer".to_owned(), |cluster| cluster.to_string());
            let log = fs::read_to_string(node.directory.join("patroni.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
            said.push_str(&format!("node{number}: {cluster}\n  {last}\n"));
        }
        said
    }

    /// A connection to a database of the primary.
    pub(super) async fn at_primary(&self, database: &str) -> tokio_postgres::Client {
        let connected = async {
            let mut looks = interval(LOOK);
            loop {
                looks.tick().await;
                // Under load, it may take longer than one attempt may.
                let (primary, _) = self.until_primary(None).await;
                if let Some(client) = self.connect(primary, database).await {
                    return client;
                }
            }
        };
        match timeout(LIMIT, connected).await {
            Ok(client) => client,
            Err(_) => panic!("no connection within {LIMIT:?}\n{}", self.said().await),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
        for child in &mut self.children {
            // What switched to the other user stands still where its program did.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// The processes that work in a directory, with their command lines.
fn processes_in(directory: &Path) -> Vec<(String, String)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|entry| {
        let id = entry.file_name().into_string().ok()?;
        id.parse::<u32>().ok()?;
        // A process may end while it is looked at.
        let works_in = fs::read_link(entry.path().join("cwd")).ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        works_in.starts_with(directory).then_some((id, line))
    });
    processes.collect()
}

fn signal(name: &str, processes: &[String]) {
    // One that has ended by itself is no failure.
    let mut kill = Command::new("kill");
    let _ = kill
        .args(["-s", name])
        .args(processes)
        .stderr(Stdio::null())
        .status();
}
