//! Holds the alert rules, and what the program says of its metrics, against Prometheus's own checks.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    bench::server::{Server, free_address},
    debian, firing,
    process::{self, Outcome, say},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Have alerts fire in a real Prometheus, too; that takes two minutes
    #[arg(long)]
    fire: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let promtool = debian::require("promtool", "prometheus")?;
    debian::require("curl", "curl")?;
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

    let gateway = free_address()?;
    let mut dev = Command::new(&program);
    dev.args(["dev", "--memory", "--listen", "127.0.0.1:0"])
        .args(["--gateway-listen", "127.0.0.1:0"])
        .args(["--operator-listen", &gateway.to_string()])
        .arg("--data-dir")
        .arg(directory.path().join("dev"));
    check("a gateway", &promtool, &dev, gateway)?;

    let plane = free_address()?;
    let mut serve = Command::new(&program);
    serve
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--metrics-listen", &plane.to_string()])
        .arg("--data-dir")
        .arg(directory.path().join("serve"));
    check("the control plane", &promtool, &serve, plane)?;
    if arguments.fire {
        firing::run(&program)?;
    }
    Ok(())
}

/// Checks the metrics that a program shows at an address.
fn check(what: &str, promtool: &Path, program: &Command, address: SocketAddr) -> Outcome {
    let server = Server::start(program, address)?;
    let metrics = process::read(
        Command::new("curl")
            .args(["--silent", "--show-error", "--fail"])
            .args(["--retry", "5", "--retry-all-errors"])
            .arg(format!("http://{address}/metrics")),
    )?;
    drop(server);
    let mut checking = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = checking.stdin.take().ok_or("promtool takes no input")?;
    stdin.write_all(metrics.as_bytes())?;
    drop(stdin);
    if !checking.wait()?.success() {
        return Err(format!("promtool finds fault with the metrics of {what}").into());
    }
    say(&format!(
        "the metrics of {what} are as Prometheus wants them"
    ));
    Ok(())
}
