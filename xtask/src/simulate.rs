//! `cargo xtask simulate`: control plane and gateways as one deterministic program, for many seeds.

use std::process::Command;

use crate::process::{self, Outcome};

const PROGRAM: &str = "countersign-simulate";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to pass to it: `--seeds N`, `--minutes M`, `--seed S`, `--fault NAME`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    process::run(process::cargo().args(["build", "--quiet", "--workspace", "--bin", PROGRAM]))?;
    let program = process::target_directory().join("debug").join(PROGRAM);
    process::run(Command::new(program).args(&arguments.arguments))
}
