//! The command line: one file for each noun, with the API's verbs.

mod admin_key;
mod admin_listener;
mod api;
mod api_failure;
mod api_key;
mod assertion;
mod audit_log;
mod backup;
mod card;
mod certificate;
mod chain;
mod command;
mod complete;
mod configuration;
mod crl;
mod crl_files;
mod declared;
mod denial;
mod directory;
mod disarm;
mod doctor;
mod examples;
mod expiring;
mod explain;
mod federation_rule;
mod federation_test;
mod find;
mod gateway;
mod gateway_key;
mod guard;
mod input;
mod inspect;
mod kept;
mod key_file;
mod live;
mod misplaced;
mod names;
mod noun;
mod organization;
mod other_words;
mod parse;
mod policy_text;
mod preview;
mod project;
mod receipt;
mod receipt_key;
mod reference;
mod refusal;
mod rotation;
mod scope;
mod seen_names;
mod service_account;
mod set_policy;
mod shown_once;
mod status;
mod toggle;
mod token_key;
mod unknown_ids;
mod update;
mod upload;
mod usage;
mod verify;
mod waiting;
mod webhook;
mod workload_identity_provider;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use self::noun::{Noun, ProjectOptions};
use crate::{
    connect,
    database::DatabaseOptions,
    dev,
    failure::{CommandResult, Doing},
    output::{Format, Output},
    serve,
};

/// Manage mutual TLS for your API, and prove what it enforces
#[derive(Parser)]
#[command(name = "countersign", version)]
pub(crate) struct Cli {
    /// The format of data: by default a table on a terminal, JSON in a pipe
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        ignore_case = true,
        hide_possible_values = true
    )]
    #[arg(
        help = "Output format: table, json, jsonl or yaml [default: table on a terminal, json in a pipe]"
    )]
    output: Option<Format>,
    /// Print ids alone, each on a line
    #[arg(short, long, global = true, conflicts_with = "output")]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the control plane
    Serve(serve::Serve),
    /// Run a control plane and a gateway on this machine, for trying it out and for development
    Dev(dev::Dev),
    /// Run a gateway, or list the gateways and what they enforce
    Gateway(gateway::Gateway),
    /// Add a client certificate to the requests of tools that cannot
    Connect(connect::Connect),
    /// Show what is enforced where, the gateways, rotations, what expires and what is refused
    Status(status::Status),
    /// Judge a client's certificate chain as a gateway would, and explain the verdict
    Verify(verify::Verify),
    /// Explain why a gateway refused a request, or list the latest refusals
    Explain(explain::Explain),
    /// Manage trust anchors: upload, activate, inspect
    Certificate(Noun<certificate::CertificateVerb>),
    /// Replace one trust anchor with another, step by step
    Rotation(Noun<rotation::RotationVerb>),
    /// Say which clients must pass and which must be refused, whatever changes
    Assertion(Noun<assertion::AssertionVerb>),
    /// Refuse client certificates that would pass: one of them, a key, a serial number or a name
    Denial(Noun<denial::DenialVerb>),
    /// Show the changes that bring the server in line with a file; exit code 3 if there are any
    Plan(declared::Plan),
    /// Bring the server in line with a file
    Apply(declared::Apply),
    /// Write the server's trust anchors, and where each is active, to a file
    Export(declared::Export),
    /// List trust anchors and client certificates that expire soon
    Expiring(expiring::Expiring),
    /// List the requests that gateways refused, by caller, client certificate and code
    Refusal(Noun<refusal::RefusalVerb>),
    /// Manage projects
    Project(Noun<project::ProjectVerb>),
    /// Manage a project's service accounts and their keys
    ServiceAccount(Noun<service_account::ServiceAccountVerb, ProjectOptions>),
    /// Manage a project's API keys
    ApiKey(Noun<api_key::ApiKeyVerb, ProjectOptions>),
    /// Manage the organization's admin keys
    AdminKey(Noun<admin_key::AdminKeyVerb>),
    /// Manage workload identity providers: how client certificates become attributes
    WorkloadIdentityProvider(Noun<workload_identity_provider::WorkloadIdentityProviderVerb>),
    /// Manage federation rules: which attributes belong to which service account
    FederationRule(federation_rule::FederationRuleNoun),
    /// Manage the keys that tokens of workloads are signed with
    TokenKey(Noun<token_key::TokenKeyVerb>),
    /// List and verify the audit log
    AuditLog(Noun<audit_log::AuditLogVerb>),
    /// Verify the receipts that gateways give of their verdicts
    Receipt(receipt::Receipt),
    /// Manage the keys that gateways sign receipts with
    ReceiptKey(Noun<receipt_key::ReceiptKeyVerb>),
    /// Manage webhooks, which receive every event
    Webhook(Noun<webhook::WebhookVerb>),
    /// Manage the organizations in this machine's database (for the operator; needs no key)
    Organization(Noun<organization::OrganizationVerb, DatabaseOptions>),
    /// Manage the keys that gateways fetch their bundles with (for the operator; needs no key)
    GatewayKey(Noun<gateway_key::GatewayKeyVerb, DatabaseOptions>),
    /// Write this machine's database to a file, also while it is in use (for the operator; needs no key)
    Backup(backup::Backup),
    /// Put a backup in place of this machine's database (for the operator; needs no key)
    Restore(backup::Restore),
    /// Check or print this machine's configuration
    Config(configuration::Config),
    /// Check this machine's set-up, and the server's
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page of the program or of one command
    Man {
        /// The command, such as `certificate upload`
        command: Vec<String>,
    },
    /// Print the version
    Version,
}

impl Cli {
    /// Does what the command line asks for.
    pub(crate) fn run(self) -> CommandResult {
        let output = Output::new(self.output.or(self.quiet.then_some(Format::Ids)));
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Dev(dev) => dev.run(output),
            Command::Gateway(gateway) => gateway.run(output),
            Command::Connect(connect) => connect.run(output),
            Command::Status(status) => status.run(output),
            Command::Verify(verify) => verify.run(output),
            Command::Explain(explain) => explain.run(output),
            Command::Certificate(noun) => noun.run(output),
            Command::Rotation(noun) => noun.run(output),
            Command::Assertion(noun) => noun.run(output),
            Command::Denial(noun) => noun.run(output),
            Command::Plan(plan) => plan.run(output),
            Command::Apply(apply) => apply.run(output),
            Command::Export(export) => export.run(),
            Command::Expiring(expiring) => expiring.run(output),
            Command::Refusal(refusal) => refusal.run(output),
            Command::Project(noun) => noun.run(output),
            Command::ServiceAccount(noun) => noun.run(output),
            Command::ApiKey(noun) => noun.run(output),
            Command::AdminKey(noun) => noun.run(output),
            Command::WorkloadIdentityProvider(noun) => noun.run(output),
            Command::FederationRule(noun) => noun.run(output),
            Command::TokenKey(noun) => noun.run(output),
            Command::AuditLog(noun) => noun.run(output),
            Command::Receipt(receipt) => receipt.run(output),
            Command::ReceiptKey(noun) => noun.run(output),
            Command::Webhook(noun) => noun.run(output),
            Command::Organization(noun) => noun.run(output),
            Command::GatewayKey(noun) => noun.run(output),
            Command::Backup(backup) => backup.run(output),
            Command::Restore(restore) => restore.run(output),
            Command::Config(config) => config.run(output),
            Command::Doctor(doctor) => doctor.run(output),
            Command::Completions { shell } => completions(shell, output),
            Command::Man { command } => man(&command, output),
            Command::Version => version(output),
        }
    }
}

fn completions(shell: Shell, output: Output) -> CommandResult {
    output.bytes(&complete::script(shell)?)
}

fn version(output: Output) -> CommandResult {
    output.text(concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n"))
}

fn man(path: &[String], output: Output) -> CommandResult {
    let mut root = Cli::root();
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
    use crate::config::SETTINGS;

    #[test]
    fn the_command_line_is_sound_and_its_page_names_every_command() {
        let mut root = Cli::root();
        root.build();
        root.clone().debug_assert();
        let page = include_str!("../../../../docs/cli.md");
        for noun in root.get_subcommands() {
            let name = noun.get_name();
            if name == "help" {
                continue;
            }
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

    #[test]
    fn the_help_of_serve_gives_the_defaults_of_the_settings() {
        let root = Cli::root();
        let serve = root.find_subcommand("serve").unwrap();
        let mut compared = 0;
        for setting in SETTINGS {
            let Some(default) = setting.default else {
                continue;
            };
            let flag = setting.key.strip_prefix("serve.").unwrap_or(setting.key);
            let flag = flag.replace('.', "_");
            // A switch takes no value: that it is off unless given need not be said.
            let mut with_value = serve
                .get_arguments()
                .filter(|each| each.get_action().takes_values());
            if let Some(flag) = with_value.find(|each| each.get_id() == &flag) {
                let help = flag.get_help().unwrap().to_string();
                assert!(help.contains(&format!("[default: {default}]")), "{help}");
                compared += 1;
            }
        }
        assert_eq!(compared, 4);
    }
}
