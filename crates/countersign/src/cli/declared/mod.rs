//! `countersign plan`, `apply` and `export`: what shall be on the server, in a file.

mod apply;
mod change;
mod export;
mod file;
mod order;
mod plan;
mod server;

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_client::Client;

use self::{change::Told, export::Target, file::Declared};
use super::{
    api::{ApiOptions, block_on},
    waiting::Wait,
};
use crate::{
    failure::{Failure, Outcome},
    output::{Output, confirm, note},
};

/// The exit code of `plan` when the server is not as the file says.
const DRIFT: u8 = 3;

#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    what: What,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Allow that nothing is enforced any more at a scope where something is
    #[arg(long)]
    allow_disarm: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write, TOML
    file: PathBuf,
    /// Where the PEM files go, seen from the file [default: beside it]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Args)]
struct What {
    /// The file that says what shall be, TOML
    file: PathBuf,
    /// Delete the certificates that the file does not name
    #[arg(long)]
    prune: bool,
}

impl What {
    async fn plan(&self, client: &Client, declared: &Declared) -> Outcome<(plan::Plan, Told)> {
        let plan = plan::plan(client, declared, self.prune).await?;
        let told = Told::of(&plan, declared);
        Ok((plan, told))
    }
}

impl Plan {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let declared = file::read(&self.what.file)?;
        let client = self.api.client()?;
        let (_, told) = block_on(self.what.plan(&client, &declared))?;
        told.show(output)?;
        if told.changes.is_empty() {
            return Ok(());
        }
        Err(Failure::quiet(DRIFT))
    }
}

impl Apply {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let declared = file::read(&self.what.file)?;
        let client = self.api.client()?;
        block_on(self.apply(&client, &declared, output))
    }

    async fn apply(&self, client: &Client, declared: &Declared, output: Output) -> Outcome {
        let (mut plan, told) = self.what.plan(client, declared).await?;
        told.show(output)?;
        if told.changes.is_empty() {
            return Ok(());
        }
        if !(told.disarmed.is_empty() || self.allow_disarm) {
            return Err(Failure::new(format_args!(
                "nothing would be enforced any more at {}; nothing was changed",
                told.disarmed.join(", ")
            ))
            .hint("`--allow-disarm` allows it"));
        }
        if !self.yes {
            confirm("make these changes?", false)?;
            // Whoever reads a plan takes time, and it was this plan that was agreed to.
            let (again, now) = self.what.plan(client, declared).await?;
            if now != told {
                return Err(Failure::new(
                    "the server changed while you were asked; nothing was changed",
                )
                .hint("look at the new plan: apply again"));
            }
            plan = again;
        }
        let revision = apply::apply(client, declared, &plan).await?;
        note("done: the server is as the file says");
        self.wait.for_gateways(client, revision).await
    }
}

impl Export {
    pub(crate) fn run(self) -> Outcome {
        let client = self.api.client()?;
        let target = Target {
            file: &self.file,
            directory: self.dir.as_deref().unwrap_or(Path::new("")),
            force: self.force,
        };
        block_on(export::export(&client, &target))
    }
}
