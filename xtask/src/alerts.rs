//! Holds the alert rules, and what the program says of its metrics, against Prometheus's own checks.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    debian,
    process::{self, Outcome, say},
};

/// How long a program may take to show its metrics.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    let promtool = debian::require("promtool", "prometheus")?;
    let rules = process::repository().join("packaging/prometheus");
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        process::run(Command::new(&promtool).args(arguments).current_dir(&rules))?;
    }
    let what = ["build", "--package", "countersign", "--bin", "countersign"];
    process::run(process::cargo().args(what))?;
    let program = process::target_directory().join("debug/countersign");
    let directory = tempfile::tempdir()?;
    let (gateway, plane) = (free_address()?, free_address()?);
    let dev = Command::new(&program)
        .args(["dev", "--memory", "--listen", "127.0.0.1:0"])
        .args(["--gateway-listen", "127.0.0.1:0"])
        .args(["--operator-listen", &gateway.to_string()])
        .arg("--data-dir")
        .arg(directory.path().join("dev"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    check("a gateway", &promtool, dev, gateway)?;
    let serve = Command::new(&program)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--metrics-listen", &plane.to_string()])
        .arg("--data-dir")
        .arg(directory.path().join("serve"))
        .stderr(Stdio::null())
        .spawn()?;
    check("the control plane", &promtool, serve, plane)
}

/// Checks the metrics that a process shows, and ends it.
fn check(what: &str, promtool: &Path, mut process: Child, address: SocketAddr) -> Outcome {
    let metrics = metrics(address);
    process.kill()?;
    process.wait()?;
    let mut checking = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = checking.stdin.take().ok_or("promtool takes no input")?;
    stdin.write_all(metrics?.as_bytes())?;
    drop(stdin);
    if !checking.wait()?.success() {
        return Err(format!("promtool finds fault with the metrics of {what}").into());
    }
    say(&format!(
        "the metrics of {what} are as Prometheus wants them"
    ));
    Ok(())
}

/// What a process shows at `/metrics`, once it does.
fn metrics(address: SocketAddr) -> Outcome<String> {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.starts_with("HTTP/1.1 200") && !head.contains("transfer-encoding") {
            return Ok(body.to_owned());
        }
    }
    Err(format!("nothing shows metrics at {address}").into())
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
