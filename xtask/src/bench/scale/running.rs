//! A control plane and gateways on a filled database, and what they cost.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::filling::{Size, admin_key, anchor};
use crate::{
    bench::{
        dataset::Storage,
        load::{Connection, ask, request},
        server::{Server, free_address, resident_kib_of_family},
    },
    process::{self, Outcome},
};

/// How long a gateway may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long it is looked whether servers are idle, and the part of a processor that idle ones may use.
const LOOK_AFTER: Duration = Duration::from_secs(1);
const IDLE: f64 = 0.03;
/// How long after one change the next is made.
const EVERY: Duration = Duration::from_millis(50);

/// A control plane, with what is needed to ask it.
pub(super) struct ControlPlane {
    pub(super) server: Server,
    gateway_key: PathBuf,
    key: String,
    /// Whether changes are of keys, and not of trust.
    of_keys: bool,
}

impl ControlPlane {
    pub(super) fn start(
        place: &Storage,
        program: &Path,
        directory: &Path,
        of_keys: bool,
    ) -> Outcome<Self> {
        let gateway_key = directory.join("gateway.key");
        let mut create = place.program(program);
        create.args(["gateway-key", "create", "--name", "bench", "--key-file"]);
        process::read(create.arg(&gateway_key))?;
        let address = free_address()?;
        let mut command = place.program(program);
        command
            .arg("serve")
            .env("COUNTERSIGN_SERVE_LISTEN", address.to_string())
            .env("COUNTERSIGN_LOG_LEVEL", "warn");
        Ok(Self {
            server: Server::start_anywhere(&command, address)?,
            key: fs::read_to_string(&gateway_key)?.trim().to_owned(),
            gateway_key,
            of_keys,
        })
    }

    fn get(&self, path: &str) -> Outcome<Value> {
        let answer = ask(self.server.address, &request("GET", path, &self.key, ""))?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Toggles the anchor of an organization, or makes a key, and returns when that was answered.
    pub(super) fn change(&self, number: usize, size: Size) -> Outcome {
        let organization = number % size.changed() + 1;
        if self.of_keys {
            let path = "/v1/organization/admin_api_keys";
            let body = json!({ "name": format!("change {number}") }).to_string();
            let request = request("POST", path, &admin_key(organization), &body);
            return ask(self.server.address, &request).map(drop);
        }
        let odd = number / size.changed() % 2 == 1;
        let verb = if odd { "activate" } else { "deactivate" };
        let body = json!({ "certificate_ids": [anchor(organization)] }).to_string();
        let path = format!("/v1/organization/certificates/{verb}");
        let key = admin_key(organization);
        ask(self.server.address, &request("POST", &path, &key, &body)).map(drop)
    }

    /// The deployment's revision, and the least that a gateway enforces durably.
    pub(super) fn enforced(&self) -> Outcome<(u64, u64)> {
        let list = self.get("/v1/countersign/gateways")?;
        let revision = |value: &Value| value.get("revision").and_then(Value::as_u64).unwrap_or(0);
        let gateways = list.get("gateways").and_then(Value::as_array);
        let least = gateways.into_iter().flatten().map(revision).min();
        Ok((revision(&list), least.unwrap_or(0)))
    }

    /// Waits until every gateway enforces the latest change, durably.
    pub(super) fn until_enforced(&self) -> Outcome {
        let begun = Instant::now();
        loop {
            let (latest, enforced) = self.enforced()?;
            if enforced >= latest {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err("a change was not enforced".into());
            }
            pause(Duration::from_millis(2));
        }
    }

    /// Gateways that wait for changes, and nothing else, until the flag is set.
    pub(super) fn wait_beside(&self, number: usize, over: &Arc<AtomicBool>) -> Outcome {
        // The point of the first page is as good as any to begin at.
        let page = "/v1/countersign/bundle?paged=true&wait=0";
        let answer = ask(self.server.address, &request("GET", page, &self.key, ""))?;
        let start = next_point(&answer).ok_or("an answer without a point")?;
        for gateway in 0..number {
            let (address, key, over) = (self.server.address, self.key.clone(), Arc::clone(over));
            let start = start.clone();
            let mut connection = Connection::open(address)?;
            thread::spawn(move || {
                let mut after = start;
                while !over.load(Ordering::Relaxed) {
                    // It enforces at once whatever it is sent.
                    let reported = format!("&gateway=gw_beside{gateway}&durable=true");
                    let path = format!("/v1/countersign/bundle?wait=5{after}{reported}");
                    let Ok(answer) = connection.ask(&request("GET", &path, &key, "")) else {
                        return;
                    };
                    if let Some(next) = next_point(answer) {
                        after = next;
                    }
                }
            });
        }
        Ok(())
    }
}

/// What to ask for after an answer.
fn next_point(answer: &[u8]) -> Option<String> {
    let head: Value = serde_json::from_slice(answer).ok()?;
    let (revision, token) = (head.get("revision")?, head.get("token")?.as_str()?);
    Some(format!("&after={revision}&token={token}"))
}

/// A gateway under measurement.
pub(super) struct Gateway {
    server: Server,
    /// How long it took from its start until it was ready.
    pub(super) ready: f64,
}

impl Gateway {
    /// Starts it, on what its directory holds.
    pub(super) fn start(plane: &ControlPlane, program: &Path, directory: &Path) -> Outcome<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let file = |name: &str| json!(directory.join(name)).to_string();
        let configuration = format!(
            "listen = \"{address}\"\nadmin_listen = \"{admin}\"\ncertificate = {}\nprivate_key = {}\n\
             control_plane = \"http://{}/v1\"\nkey_file = {}\ndata_dir = {}\n\n[[routes]]\n\
             upstream = \"http://127.0.0.1:9\"\n",
            file("root.pem"),
            file("root.key"),
            plane.server.address,
            json!(plane.gateway_key),
            file("gateway"),
        );
        let path = directory.join("gateway.toml");
        fs::write(&path, configuration)?;
        let mut command = std::process::Command::new(program);
        command.args(["gateway", "--config"]).arg(path);
        command.env("COUNTERSIGN_LOG_LEVEL", "warn");
        let started = Instant::now();
        let server = Server::start_anywhere(&command, admin)?;
        while !is_ready(admin) {
            if started.elapsed() > PATIENCE {
                return Err("the gateway did not get ready".into());
            }
            pause(Duration::from_millis(5));
        }
        Ok(Self {
            server,
            ready: started.elapsed().as_secs_f64(),
        })
    }

    pub(super) fn resident_mib(&self) -> Outcome<f64> {
        Ok(resident_kib_of_family(self.server.process())? / 1024.0)
    }

    fn bytes_written(&self) -> Outcome<f64> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.server.process()))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"));
        Ok(line.ok_or("no bytes in /proc/PID/io")?.trim().parse()?)
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    ask(admin, &request("GET", "/readyz", "", "")).is_ok()
}

/// Seconds from when a change was sent until the control plane knows that it is enforced, durably; at
/// twenty changes a second.
pub(super) fn latencies(plane: &ControlPlane, size: Size, changes: usize) -> Outcome<Vec<f64>> {
    let mut seconds = Vec::with_capacity(changes);
    let begun = Instant::now();
    for number in 0..changes {
        pause_until(begun, EVERY, number);
        let sent = Instant::now();
        plane.change(number, size)?;
        plane.until_enforced()?;
        seconds.push(sent.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

/// Waits until neither has anything to do, as after the first comparison by digests: that takes as long as
/// there is something to compare, and is no part of a change.
pub(super) fn until_idle(plane: &ControlPlane, gateway: &Gateway) -> Outcome {
    let used =
        || -> Outcome<f64> { Ok(plane.server.cpu_seconds()? + gateway.server.cpu_seconds()?) };
    let begun = Instant::now();
    loop {
        let before = used()?;
        pause(LOOK_AFTER);
        if used()? - before < LOOK_AFTER.as_secs_f64() * IDLE {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err("the servers do not come to rest".into());
        }
    }
}

/// What a change costs.
pub(super) struct Cost {
    pub(super) gateway_ms: f64,
    pub(super) control_plane_ms: f64,
    pub(super) kib_written: f64,
}

/// What each of so many changes costs, at twenty a second, with nobody looking.
pub(super) fn cost(
    plane: &ControlPlane,
    gateway: &Gateway,
    size: Size,
    changes: usize,
) -> Outcome<Cost> {
    let read = || -> Outcome<[f64; 3]> {
        Ok([
            gateway.server.cpu_seconds()? * 1e3,
            plane.server.cpu_seconds()? * 1e3,
            gateway.bytes_written()? / 1024.0,
        ])
    };
    let before = read()?;
    let begun = Instant::now();
    for number in 0..changes {
        pause_until(begun, EVERY, number);
        // As many changes went before.
        plane.change(changes + number, size)?;
    }
    pause_until(begun, EVERY, changes + 10);
    let after = read()?;
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let each = |index: usize| {
        let [before, after] = [before, after].map(|all| all.get(index).copied().unwrap_or(0.0));
        (after - before) / changes.max(1) as f64
    };
    Ok(Cost {
        gateway_ms: each(0),
        control_plane_ms: each(1),
        kib_written: each(2),
    })
}

pub(super) fn pause_until(begun: Instant, every: Duration, number: usize) {
    let due = every * u32::try_from(number).unwrap_or(u32::MAX);
    pause(due.saturating_sub(begun.elapsed()));
}

#[expect(
    clippy::disallowed_methods,
    reason = "changes come at a rate, and nothing tells this process what another one has done"
)]
pub(super) fn pause(time: Duration) {
    thread::sleep(time);
}
