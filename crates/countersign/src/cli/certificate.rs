//! `countersign certificate`: trust anchors.

use std::ops::ControlFlow;

use clap::Subcommand;
use countersign_client::{Client, Received};
use countersign_types::{
    certificate::{Certificate, DeletedCertificate, Enforcement, Scope, ScopedCertificate},
    error::ErrorCode,
    extension,
    id::CertificateId,
};

use super::{
    api::ListOptions,
    card, crl, find,
    guard::supports,
    inspect,
    names::Names,
    noun::Verb,
    reference::{Reference, resolve_all},
    rotation,
    scope::AtScope,
    set_policy, toggle, update, upload, usage,
};
use crate::{
    failure::{CommandResult, Failure},
    files::shell_quoted,
    output::{
        Cell, Output, Row, Tone, confirm, expiry, lines_or_dash, moment, printable_lines, row,
        text_or_dash,
    },
};

#[derive(Subcommand)]
pub(crate) enum CertificateVerb {
    /// List the organization's certificates and where each is active
    List {
        #[command(flatten)]
        scope: AtScope,
        /// Show usage per scope: requests and distinct leaves in the last 1, 7 and 30 days
        #[arg(long)]
        usage: bool,
        #[command(flatten)]
        list: ListOptions,
    },
    /// List the leaves (client certificates) that passed under a certificate, with their callers
    Usage {
        /// The certificate: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<CertificateId>,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Find the certificate that is in a file, or that has a SHA-256
    Find(find::Find),
    /// Show a certificate: what is in it, where it is active, when it was last used
    Retrieve {
        /// The certificate: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<CertificateId>,
        /// Include its PEM
        #[arg(long)]
        content: bool,
        /// Print only its PEM, byte for byte as uploaded
        #[arg(long, conflicts_with = "content")]
        pem: bool,
        /// Show usage per scope: requests and distinct leaves in the last 1, 7 and 30 days
        #[arg(long, conflicts_with_all = ["content", "pem"])]
        usage: bool,
    },
    /// Upload a CA certificate as a trust anchor; without `--activate` it is active nowhere
    Upload(upload::Upload),
    /// Rename a certificate, refuse what it issued before a time, or what has no current revocation list
    Update(update::Update),
    /// Add, list or remove the revocation lists of a certificate
    #[command(subcommand)]
    Crl(crl::CrlVerb),
    /// Set or remove a certificate's CEL policy
    SetPolicy(set_policy::SetPolicy),
    /// Delete certificates that are active nowhere
    Delete {
        /// The certificates: id or name
        #[arg(required = true, value_name = "ID|NAME")]
        ids: Vec<Reference<CertificateId>>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Activate 1 to 10 certificates, all or none
    Activate(toggle::Activate),
    /// Deactivate 1 to 10 certificates, all or none
    Deactivate(toggle::Deactivate),
    /// Show what a file is and whether the server would accept it, without contacting the server
    Inspect(inspect::Inspect),
}

impl Verb<Client> for CertificateVerb {
    fn run_offline(self, output: Output) -> ControlFlow<CommandResult, Self> {
        match self {
            Self::Inspect(inspect) => ControlFlow::Break(inspect.run(output)),
            online => ControlFlow::Continue(online),
        }
    }

    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let certificates = client.certificates();
        match self {
            Self::List { scope, usage, list } => {
                list_at(client, &scope.resolve(client).await?, usage, list, output).await
            }
            Self::Usage { id, list } => {
                let id = id.resolve(client).await?;
                let entries = certificates.stream_uses(&id, &list.params());
                usage::show_uses(client, list.take(entries).await?, output).await
            }
            Self::Retrieve {
                id, usage: true, ..
            } => show_usage(client, &id.resolve(client).await?, output).await,
            Self::Retrieve {
                id, content, pem, ..
            } => {
                let id = id.resolve(client).await?;
                if output.is_table() && !content && !pem {
                    return card::show(client, &id, output).await;
                }
                let anchor = retrieve(client, &id, content || pem).await?;
                show(&anchor, content, pem, output)
            }
            Self::Upload(upload) => upload.run(client, output).await,
            Self::Find(find) => find.run(client, output).await,
            Self::Update(update) => update.run(client, output).await,
            Self::Crl(verb) => verb.run(client, output).await,
            Self::SetPolicy(set) => set.run(client, output).await,
            Self::Delete { ids, yes } => delete(client, &ids, yes, output).await,
            Self::Activate(activate) => activate.run(client, output).await,
            Self::Deactivate(deactivate) => deactivate.run(client, output).await,
            Self::Inspect(inspect) => inspect.run(output),
        }
    }
}

async fn list_at(
    client: &Client,
    scope: &Scope,
    usage: bool,
    list: ListOptions,
    output: Output,
) -> CommandResult {
    let certificates = client.certificates();
    if !usage {
        // Where each is active is for people, who look at all scopes together.
        let everywhere = output.is_table()
            && *scope == Scope::Organization
            && supports(client, extension::ACTIVE_AT).await?;
        let entries = if everywhere {
            certificates.stream_with_active_at(scope, &list.params())
        } else {
            certificates.stream(scope, &list.params())
        };
        return output.list_of("certificates", &list.take(entries).await?);
    }
    let entries = certificates.stream_with_usage(scope, &list.params());
    let listed = list.take(entries).await?;
    if output.is_table() {
        let names = Names::of_projects(client).await;
        return output.list_of("certificates", &names.beside(usage::all_lines(&listed)));
    }
    output.list(&listed)
}

async fn show_usage(client: &Client, id: &CertificateId, output: Output) -> CommandResult {
    let anchor = client.certificates().retrieve_with_usage(id).await?.value;
    output.one(&anchor)?;
    if !output.is_table() {
        return Ok(());
    }
    output.text("\n")?;
    let usage = anchor.usage.as_ref();
    let names = Names::of_projects(client).await;
    let lines = usage::lines(&anchor.id, anchor.name.as_deref(), usage);
    output.list(&names.beside(lines))?;
    let refused = usage.map(|usage| usage::of_floor_and_lists(id, usage));
    match refused.filter(|lines| !lines.is_empty()) {
        Some(lines) => {
            output.text("\n")?;
            output.list(&lines)
        }
        None => Ok(()),
    }
}

async fn retrieve(
    client: &Client,
    id: &CertificateId,
    content: bool,
) -> CommandResult<Received<Certificate>> {
    let certificates = client.certificates();
    let anchor = if content {
        certificates.retrieve_with_content(id).await?
    } else {
        certificates.retrieve(id).await?
    };
    Ok(anchor.value)
}

fn show(anchor: &Received<Certificate>, content: bool, pem: bool, output: Output) -> CommandResult {
    let text = anchor.certificate_details.content.as_deref();
    if pem {
        return match text {
            Some(text) => output.foreign(text),
            None => Err(Failure::new("the server returned no PEM")),
        };
    }
    output.one(anchor)?;
    match text {
        Some(text) if content && output.is_table() => {
            output.text(&format!("\n{}", printable_lines(text)))
        }
        _ => Ok(()),
    }
}

/// Deletes one after another. Those deleted before an error are still listed.
async fn delete(
    client: &Client,
    given: &[Reference<CertificateId>],
    yes: bool,
    output: Output,
) -> CommandResult {
    let names: Vec<String> = given.iter().map(ToString::to_string).collect();
    let ids = resolve_all(given, client).await?;
    rotation::refuse_parts(client, &ids).await?;
    confirm(&format!("delete {}?", names.join(", ")), yes)?;
    let mut deleted = Vec::new();
    for (id, name) in ids.into_iter().zip(&names) {
        match client.certificates().delete(&id).await {
            Ok(answer) => deleted.push(answer.value),
            Err(error) => {
                if !deleted.is_empty() {
                    output.list(&deleted)?;
                }
                let in_use = error.code() == Some(ErrorCode::CertificateInUse);
                let mut refused = Failure::from(error);
                if in_use {
                    let name = shell_quoted(name);
                    refused = refused.hint(format!("deactivate it first: `countersign certificate deactivate {name}`, with `--project` for a project"));
                }
                let known = Names::of_projects(client).await;
                let why = known.within(refused.message());
                let message = format!("cannot delete `{name}`: {why}");
                return Err(match refused.advice() {
                    Some(advice) => Failure::new(message).hint(advice),
                    None => Failure::new(message),
                });
            }
        }
    }
    output.list(&deleted)
}

/// Where it is active; else whether it is at the scope that it was listed for, and how.
fn activity(certificate: &ScopedCertificate) -> Cell {
    if let Some(scopes) = &certificate.active_at {
        return card::summary(scopes);
    }
    if !certificate.active {
        return "no".into();
    }
    let how = certificate.enforcement.clone().unwrap_or_default();
    let tone = match how.known() {
        Some(Enforcement::Enforce) => Tone::Good,
        _ => Tone::Warning,
    };
    let how = how.called(|known| match known {
        Enforcement::Enforce => "yes",
        Enforcement::Report => "report only",
    });
    Cell::State(tone, how.into_owned())
}

impl Row for ScopedCertificate {
    const HEAD: &'static [&'static str] = &["name", "id", "active", "expires"];

    fn cells(&self) -> Vec<Cell> {
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            activity(self),
            expiry(self.certificate_details.expires_at),
        ]
    }
}

impl Row for Certificate {
    const HEAD: &'static [&'static str] =
        &["name", "id", "valid from", "expires", "created", "policy"];

    fn cells(&self) -> Vec<Cell> {
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            moment(self.certificate_details.valid_at),
            expiry(self.certificate_details.expires_at),
            moment(self.created_at),
            lines_or_dash(self.cel_policy.as_deref()),
        ]
    }
}

impl Row for DeletedCertificate {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
