//! `cargo xtask test`: every test, with what it needs set up first.

use std::{env, path::Path, process::Command};

use crate::{
    debian, node,
    pgbouncer::{Options, Pooler},
    postgres::Cluster,
    process::{self, Outcome, say},
    python,
};

/// How the names of the variables begin that tell tests where something is.
const PREFIX: &[u8] = b"COUNTERSIGN_TEST_";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the tests that need PostgreSQL.
    #[arg(long)]
    no_postgres: bool,
    /// Leave out the tests that need Python packages.
    #[arg(long)]
    no_python: bool,
    /// Leave out the tests with other proxies (nginx, Envoy, Traefik, Caddy).
    #[arg(long)]
    no_proxies: bool,
    /// Leave out the tests with programs from PyPI and npm that cannot send a client certificate.
    #[arg(long)]
    no_tools: bool,
    /// What to pass to the test runner: names of tests, or its own options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    runner: Vec<String>,
}

/// What was set up, and what could not be.
#[derive(Default)]
struct Surroundings {
    variables: Vec<(&'static str, String)>,
    poolers: Vec<Pooler>,
    clusters: Vec<Cluster>,
    missing: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut surroundings = Surroundings::default();
    surroundings.expect("openssl", debian::require("openssl", "openssl").map(drop));
    if !arguments.no_postgres {
        let outcome = surroundings.start_postgres();
        surroundings.expect("PostgreSQL", outcome);
    }
    if !arguments.no_python {
        let outcome = surroundings.make_python();
        surroundings.expect("the Python packages", outcome);
    }
    if !arguments.no_proxies {
        let outcome = surroundings.find_proxies();
        surroundings.expect("the other proxies", outcome);
    }
    if !arguments.no_tools {
        let outcome = surroundings.install_tools();
        surroundings.expect("the programs from PyPI and npm", outcome);
    }
    surroundings.run_tests(&arguments.runner)?;
    surroundings.verdict()
}

impl Surroundings {
    /// Notes what is not available and continues: the rest can still be tested.
    fn expect(&mut self, what: &str, outcome: Outcome) {
        if let Err(failure) = outcome {
            say(&format!("warning: {what} cannot be had: {failure}"));
            self.missing.push(what.to_owned());
        }
    }

    fn start_postgres(&mut self) -> Outcome {
        let shared = Cluster::start()?;
        // Two tests restart PostgreSQL under load, which must not disturb the others.
        let crashed = Cluster::start()?;
        let killed = Cluster::start()?;
        let standby = Cluster::standby_of(&shared)?;
        let pooler = Pooler::start(&shared, Options::Refused)?;
        let forgetful = Pooler::start(&shared, Options::Ignored)?;
        self.variables.extend([
            (
                "COUNTERSIGN_TEST_POSTGRES_REPLICA_URL",
                standby.encrypted_url,
            ),
            (
                "COUNTERSIGN_TEST_POSTGRES_REPLICA_SOCKET",
                standby.socket_url,
            ),
            ("COUNTERSIGN_TEST_PGBOUNCER_URL", pooler.url()),
            (
                "COUNTERSIGN_TEST_PGBOUNCER_TLS_URL",
                forgetful.encrypted_url(),
            ),
            ("COUNTERSIGN_TEST_POSTGRES_URL", shared.url()),
            ("COUNTERSIGN_TEST_POSTGRES_CRASH_URL", crashed.url()),
            (
                "COUNTERSIGN_TEST_POSTGRES_CRASH_COMMAND",
                crashed.restart_command(),
            ),
            ("COUNTERSIGN_TEST_POSTGRES_KILL_URL", killed.url()),
            (
                "COUNTERSIGN_TEST_POSTGRES_KILL_COMMAND",
                killed.restart_command(),
            ),
        ]);
        self.poolers.extend([pooler, forgetful]);
        self.clusters
            .extend([standby.cluster, shared, crashed, killed]);
        Ok(())
    }

    fn make_python(&mut self) -> Outcome {
        let python = python::environment("tests/python/requirements.txt")?;
        self.name("COUNTERSIGN_TEST_PYTHON", &python)
    }

    fn install_tools(&mut self) -> Outcome {
        let python = python::environment("tests/tools/requirements.txt")?;
        self.name("COUNTERSIGN_TEST_TOOLS_PYTHON", &python)?;
        let modules = node::modules("tests/tools/package.json")?;
        self.name("COUNTERSIGN_TEST_NODE_MODULES", &modules)
    }

    /// Tells the tests where something is.
    fn name(&mut self, variable: &'static str, path: &Path) -> Outcome {
        let path = path
            .to_str()
            .ok_or("the path of the target directory is not UTF-8")?;
        self.variables.push((variable, path.to_owned()));
        Ok(())
    }

    /// nginx is Debian's; the others come as Python packages, beside their interpreter.
    fn find_proxies(&mut self) -> Outcome {
        debian::require("nginx", "nginx")?;
        let python = python::environment("tests/proxies/requirements.txt")?;
        let programs = python.parent().and_then(Path::to_str);
        let programs = programs.ok_or("the path of the target directory is not UTF-8")?;
        self.variables
            .push(("COUNTERSIGN_TEST_PROXIES", programs.to_owned()));
        Ok(())
    }

    fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        // Only what was set up here is used.
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(PREFIX) {
                cargo.env_remove(name);
            }
        }
        cargo.envs(self.variables.iter().map(|(name, value)| (name, value)));
        cargo
    }

    /// The runner's closing lines come last; the documentation's examples, which `nextest` does
    /// not run, come first.
    fn run_tests(&self, arguments: &[String]) -> Outcome {
        if process::read(process::cargo().args(["nextest", "--version"])).is_err() {
            say(
                "cargo-nextest is not here, and takes minutes to build: `cargo test` runs the same tests, more slowly",
            );
            return process::run(
                self.cargo()
                    .args(["test", "--workspace", "--no-fail-fast"])
                    .args(arguments),
            );
        }
        if arguments.is_empty() {
            process::run(
                self.cargo()
                    .args(["test", "--workspace", "--doc", "--quiet"]),
            )?;
        }
        process::run(
            self.cargo()
                .args([
                    "nextest",
                    "run",
                    "--workspace",
                    "--no-fail-fast",
                    "--no-tests=fail",
                ])
                .args(arguments),
        )
    }

    /// Tests that were left out without being asked for are a failure.
    fn verdict(&self) -> Outcome {
        if self.missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the tests that need {} did not run; see the warnings above, or pass `--no-postgres`, `--no-python`, `--no-tools` or `--no-proxies` to do without",
            self.missing.join(" and ")
        )
        .into())
    }
}
