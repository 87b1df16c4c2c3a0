//! `cargo xtask failover`: PostgreSQL under Patroni, whose primary is killed again and again, with control
//! planes and gateways under load (docs/postgresql.md).

use crate::{
    debian, postgres,
    process::{self, Outcome},
};

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
    let mut tests = process::cargo();
    tests
        .args(["test", "--workspace", "--test", "gateway", "--"])
        .arg(format!("failover::{}", arguments.scenario))
        .args(["--nocapture", "--test-threads=1"])
        .env("COUNTERSIGN_FAILOVER_KILLS", arguments.kills.to_string())
        .env("COUNTERSIGN_FAILOVER_POSTGRES", postgres::programs()?);
    if let Some(user) = postgres::unprivileged_user()? {
        tests.env("COUNTERSIGN_FAILOVER_USER", user);
    }
    process::run(&mut tests)
}
