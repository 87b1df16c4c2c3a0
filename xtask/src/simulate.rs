//! `cargo xtask simulate`: control plane and gateways as one deterministic program, for many seeds.

use std::process::Command;

use crate::process::{self, Outcome};

const PROGRAM: &str = "countersign-simulate";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build it as a release is built: several times as many seeds a minute, after minutes of building.
    #[arg(long)]
    fast: bool,
    /// What to pass to it: `--seeds N`, `--minutes M`, `--seed S`, `--fault NAME`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (profile, directory) = if arguments.fast {
        ("fast", "fast")
    } else {
        ("dev", "debug")
    };
    process::run(process::cargo().args([
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        PROGRAM,
        "--profile",
        profile,
    ]))?;
    let program = process::target_directory().join(directory).join(PROGRAM);
    process::run(Command::new(program).args(&arguments.arguments))
}
