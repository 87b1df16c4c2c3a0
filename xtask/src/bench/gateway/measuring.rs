//! What every benchmark of a gateway is told.

use std::path::PathBuf;

use crate::{bench::gateway::countersign, process::Outcome};

#[derive(clap::Args)]
pub(crate) struct Measuring {
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Seconds instead of minutes, without optimisation, with the peers that are installed: shows
    /// that the benchmark works, and nothing else.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often everything is measured.
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,
    /// Measure this build of the program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl Measuring {
    /// The program that is measured, built if none is given.
    pub(crate) fn program(&self) -> Outcome<PathBuf> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => countersign::build(self.quick),
        }
    }
}
