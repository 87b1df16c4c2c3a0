//! `cargo xtask failover`: PostgreSQL under Patroni, whose primary is killed again and again, with control
//! planes and gateways under load (docs/postgresql.md).

use std::process::Command;

use crate::{
    debian, postgres,
    process::{self, Outcome},
};

/// Where the scenarios are, among the gateway's tests.
const MODULE: &str = "failover::";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many primaries each scenario kills
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Run only scenarios whose name contains this
    #[arg(default_value = "")]
    scenario: String,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    for (program, package) in [
        ("patroni", "patroni"),
        ("etcd", "etcd-server"),
        ("haproxy", "haproxy"),
    ] {
        debian::require(program, package)?;
    }
    let scenarios = scenarios(&arguments.scenario)?;
    let mut tests = tests();
    tests
        .args(scenarios)
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .env("COUNTERSIGN_FAILOVER_KILLS", arguments.kills.to_string())
        .env("COUNTERSIGN_FAILOVER_POSTGRES", postgres::programs()?);
    if let Some(user) = postgres::unprivileged_user()? {
        tests.env("COUNTERSIGN_FAILOVER_USER", user);
    }
    process::run(&mut tests)
}

/// The scenarios whose name contains this. None is an error: nothing would run, and that would pass.
fn scenarios(part: &str) -> Outcome<Vec<String>> {
    let listed = process::read(tests().args([MODULE, "--list"]))?;
    let all = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let all: Vec<&str> = all.filter(|name| name.starts_with(MODULE)).collect();
    let chosen = all.iter().filter(|name| name.contains(part));
    let chosen: Vec<String> = chosen.map(|name| (*name).to_owned()).collect();
    if chosen.is_empty() {
        let all = all.join("\n  ");
        return Err(format!("no scenario's name contains `{part}`; there are:\n  {all}").into());
    }
    Ok(chosen)
}

fn tests() -> Command {
    let mut tests = process::cargo();
    tests.args(["test", "--workspace", "--test", "gateway", "--"]);
    tests
}
