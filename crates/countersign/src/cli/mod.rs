//! The command line: one file for each noun, the API's verbs in each.

mod admin_key;
mod admin_listener;
mod api;
mod api_key;
mod audit_log;
mod certificate;
mod configuration;
mod declared;
mod doctor;
mod expiring;
mod explain;
pub(crate) mod gateway;
mod gateway_key;
mod inspect;
mod operator;
pub(crate) mod organization;
mod preview;
mod project;
mod rotation;
mod service_account;
mod toggle;
mod usage;
mod verify;
mod waiting;
mod webhook;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    dev,
    failure::{Doing, Outcome},
    output::{Format, Output},
    serve,
};

/// Mutual TLS for APIs that can be managed and proved
#[derive(Parser)]
#[command(name = "countersign", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// How data is written: by default a table on a terminal, JSON in a pipe
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    #[arg(
        help = "How data is written: table, json, jsonl or yaml [default: table on a terminal, json in a pipe]"
    )]
    output: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the control plane
    Serve(serve::Serve),
    /// Run everything on this machine, to try it out or to develop against
    Dev(dev::Dev),
    /// Run a gateway, or ask which gateways enforce what
    Gateway(gateway::Gateway),
    /// Judge a client's chain as a gateway would, and tell the whole story
    Verify(verify::Verify),
    /// Tell why a gateway refused a request
    Explain(explain::Explain),
    /// Trust anchors: upload, activate, inspect
    Certificate(certificate::Certificate),
    /// Replace a trust anchor by another, step by step
    Rotation(rotation::Rotation),
    /// Show what would make the server as a file says; exit code 3 when something would change
    Plan(declared::Plan),
    /// Make the server as a file says
    Apply(declared::Apply),
    /// Write a file that says what is on the server
    Export(declared::Export),
    /// Anchors and client certificates that expire soon
    Expiring(expiring::Expiring),
    /// Projects
    Project(project::Project),
    /// Service accounts of a project, and their keys
    ServiceAccount(service_account::ServiceAccount),
    /// Keys of a project
    ApiKey(api_key::ApiKey),
    /// Admin keys of the organization
    AdminKey(admin_key::AdminKey),
    /// What was done, by which key
    AuditLog(audit_log::AuditLog),
    /// Addresses that are told of every event
    Webhook(webhook::Webhook),
    /// Organizations of this deployment (operator, works on the store)
    Organization(organization::Organization),
    /// Keys that gateways read their bundles with (operator, works on the store)
    GatewayKey(gateway_key::GatewayKey),
    /// The configuration of this machine
    Config(configuration::Config),
    /// Find out what is wrong here
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, of one command if it is named
    Man {
        /// The command, such as `certificate upload`
        command: Vec<String>,
    },
}

impl Cli {
    /// Does what the command line asks for.
    pub(crate) fn run(self) -> Outcome {
        let output = Output::new(self.output);
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Dev(dev) => dev.run(output),
            Command::Gateway(gateway) => gateway.run(output),
            Command::Verify(verify) => verify.run(output),
            Command::Explain(explain) => explain.run(output),
            Command::Certificate(noun) => noun.run(output),
            Command::Rotation(noun) => noun.run(output),
            Command::Plan(plan) => plan.run(output),
            Command::Apply(apply) => apply.run(output),
            Command::Export(export) => export.run(),
            Command::Expiring(expiring) => expiring.run(output),
            Command::Project(noun) => noun.run(output),
            Command::ServiceAccount(noun) => noun.run(output),
            Command::ApiKey(noun) => noun.run(output),
            Command::AdminKey(noun) => noun.run(output),
            Command::AuditLog(noun) => noun.run(output),
            Command::Webhook(noun) => noun.run(output),
            Command::Organization(noun) => noun.run(output),
            Command::GatewayKey(noun) => noun.run(output),
            Command::Config(config) => config.run(output),
            Command::Doctor(doctor) => doctor.run(output),
            Command::Completions { shell } => completions(shell, output),
            Command::Man { command } => man(&command, output),
        }
    }
}

fn completions(shell: Shell, output: Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
    output.bytes(&script)
}

fn man(path: &[String], output: Output) -> Outcome {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name).ok_or_else(|| {
            crate::failure::Failure::usage(format_args!(
                "`{}` has no command `{name}`",
                command.get_name()
            ))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .doing("write the manual page")?;
    output.bytes(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_page_names_every_command() {
        let mut root = Cli::command();
        root.build();
        root.clone().debug_assert();
        let page = include_str!("../../../../docs/cli.md");
        for noun in root.get_subcommands() {
            let name = noun.get_name();
            let row = page.lines().find(|line| {
                line.starts_with("| `")
                    && [format!("`{name}`"), format!("`{name} ")]
                        .iter()
                        .any(|start| line.contains(start))
            });
            let row = row.unwrap_or_else(|| panic!("`{name}` has no row"));
            for verb in noun.get_subcommands() {
                assert!(
                    row.contains(verb.get_name()),
                    "`{name} {}`",
                    verb.get_name()
                );
            }
        }
    }
}
