//! `countersign denial`: certificates that are refused although they verify.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use countersign_client::{Client, Received};
use countersign_types::{
    UnixSeconds,
    certificate::{Enforcement, Scope},
    denial::{
        DeletedDenial, Denial, DenialCreateRequest, DenialMatch, IssuerAndSerial, SubjectAltName,
        SubjectAltNameType,
    },
    digest::Sha256,
    id::{DenialId, ProjectId},
    observation::Der,
    preview::TrustChange,
};
use countersign_verify::{
    certificate::LeafSummary,
    denial::{LeafIdentity, normal},
};

use super::{
    api::ListOptions,
    chain, find,
    guard::{Ask, Guard},
    names::{NamedRow, Names},
    noun::Verb,
    reference::{Reference, resolve_all},
    seen_names, usage,
    waiting::Wait,
};
use crate::{
    clock,
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, Tone, moment, printable, row, text_or_dash},
};

/// The most characters of a name that is made up.
const MAX_MADE_UP: usize = 200;

#[derive(Subcommand)]
pub(crate) enum DenialVerb {
    /// Refuse a client certificate, a key, a serial number or a name, at once and at every gateway
    Add(Box<Add>),
    /// List denials
    List {
        /// Show how many requests each refused in the last 1, 7 and 30 days, or would have refused
        #[arg(long)]
        usage: bool,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a denial
    Retrieve {
        /// The denial: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<DenialId>,
        /// Show how many requests it refused in the last 1, 7 and 30 days, or would have refused
        #[arg(long)]
        usage: bool,
    },
    /// Remove denials: what they refused is let in again
    #[command(alias = "delete")]
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["file", "leaf", "spki", "serial", "san"]).required(true)))]
pub(crate) struct Add {
    /// PEM file of the client certificate to refuse, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What of the certificate in the file is refused
    #[arg(long, value_enum, default_value_t, requires = "file")]
    by: By,
    /// The SHA-256 of the certificate to refuse; `certificate usage` and `refusal list` show it
    #[arg(long, value_name = "SHA256", value_parser = find::sha256)]
    leaf: Option<Sha256>,
    /// The SHA-256 of the public key to refuse: of the DER of its SubjectPublicKeyInfo
    #[arg(long, value_name = "SHA256", value_parser = find::sha256)]
    spki: Option<Sha256>,
    /// The name of the CA that issued the certificate, as `CN=Issuing CA,O=Example`
    #[arg(long, value_name = "NAME", requires = "serial")]
    issuer: Option<String>,
    /// The serial number of the certificate, in hexadecimal
    #[arg(long, value_name = "HEX", requires = "issuer")]
    serial: Option<String>,
    /// A subject alternative name: every certificate that has it is refused. `DNS:a.example`, `EMAIL:`, `IP_ADDRESS:`,
    /// `URI:` or `CUSTOM:OID:VALUE`
    #[arg(long, value_name = "TYPE:VALUE", value_parser = alternative_name)]
    san: Option<SubjectAltName>,
    /// Refuse it only for the keys of this project: id or name [default: everywhere]
    #[arg(long, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
    /// When it ends: a duration from now, such as `7d`, or a time [default: never]
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<UnixSeconds>,
    /// Its name, for whoever asks why a client is refused [default: made from what it refuses]
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    /// Why it is added
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Report only: count and log what it would refuse
    #[arg(long, conflicts_with = "preview")]
    report: bool,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

/// What of a certificate is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum By {
    /// This one certificate
    #[default]
    Leaf,
    /// Every certificate of its key
    Key,
    /// Its issuer and serial number
    Serial,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The denials: id or name
    #[arg(required = true, value_name = "ID|NAME")]
    ids: Vec<Reference<DenialId>>,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

/// Reads `DNS:worker.example.com`, or `CUSTOM:1.3.6.1.4.1.311.20.2.3:alice@example.com`.
pub(super) fn alternative_name(text: &str) -> Result<SubjectAltName, String> {
    let wanted = "write a subject alternative name as `DNS:worker.example.com`";
    let (kind, value) = text.split_once(':').ok_or(wanted)?;
    let kind: SubjectAltNameType = kind.parse().map_err(|error| format!("{error}"))?;
    let (oid, value) = match kind {
        SubjectAltNameType::Custom => {
            let (oid, value) = value
                .split_once(':')
                .ok_or("write a name of type `CUSTOM` as `CUSTOM:OID:VALUE`")?;
            (Some(oid.to_owned()), value)
        }
        _ => (None, value),
    };
    let name = SubjectAltName {
        kind,
        value: value.to_owned(),
        oid,
    };
    match normal(&DenialMatch::SubjectAltName(name)) {
        Ok(DenialMatch::SubjectAltName(name)) => Ok(name),
        Ok(_) => Err(wanted.to_owned()),
        Err(invalid) => Err(invalid.message),
    }
}

/// Reads when a denial ends.
fn until(text: &str) -> Result<UnixSeconds, String> {
    let now = clock::unix_seconds();
    let end = match humantime::parse_duration(text) {
        Ok(duration) => now.saturating_add(duration.as_secs()),
        Err(_) => super::parse::time(text)
            .map_err(|wrong| format!("{wrong}; or how long it lasts, such as `7d`"))?,
    };
    if end <= now {
        return Err("that is past: such a denial would refuse nothing".to_owned());
    }
    Ok(end)
}

impl Verb<Client> for DenialVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let denials = client.denials();
        match self {
            Self::Add(add) => add.run(client, output).await,
            Self::List { usage: true, list } => {
                let entries = denials.stream_with_usage(&list.params());
                let entries = list.take(entries).await?;
                if output.is_table() {
                    return output.list_of("denials", &usage::of_denials(entries));
                }
                output.list_of("denials", &Names::default().beside(entries))
            }
            Self::List { list, .. } => {
                let entries = list.take(denials.stream(&list.params())).await?;
                let names = at(client, &entries, output).await;
                output.list_of("denials", &names.beside(entries))
            }
            Self::Retrieve { id, usage } => {
                let id = id.resolve(client).await?;
                let found = if usage {
                    denials.retrieve_with_usage(&id).await?.value
                } else {
                    denials.retrieve(&id).await?.value
                };
                let names = at(client, std::slice::from_ref(&found), output).await;
                if !(usage && output.is_table()) {
                    return output.one(&names.named(found));
                }
                output.one(&names.named(found.clone()))?;
                output.text("\n")?;
                output.list(&usage::of_denials(vec![found]))
            }
            Self::Remove(remove) => remove.run(client, output).await,
        }
    }
}

impl Add {
    async fn run(mut self, client: &Client, output: Output) -> CommandResult {
        let (matches, subject) = self.matches()?;
        let project_id = match &self.project {
            Some(project) => Some(project.resolve(client).await?),
            None => None,
        };
        let named = self.name.take();
        let name = named.unwrap_or_else(|| made_up(&matches, subject.as_deref()));
        let request = DenialCreateRequest {
            name,
            reason: self.reason.take(),
            matches,
            project_id,
            enforcement: if self.report {
                Enforcement::Report
            } else {
                Enforcement::Enforce
            },
            expires_at: self.until,
        };
        seen_names::warn_if_unseen(client, &request.matches).await;
        // What is only reported refuses nobody.
        if !self.report {
            let change = TrustChange::CreateDenial(request.clone());
            let question = format!("deny {}?", printable(&request.matches.to_string()));
            let asked = (question.as_str(), Ask::IfUsed);
            if !self.guard.before(client, change, asked, output).await? {
                return Ok(());
            }
        }
        let mut waiting = self.wait.begin()?;
        let denials = self.guard.client(client).denials();
        let added = waiting.change(denials.create(&request)).await??;
        let change = added.change();
        let names = at(client, std::slice::from_ref(&added.value), output).await;
        output.one(&names.named(added.value))?;
        waiting.for_gateways(client, change).await
    }

    /// What is to be refused, and the subject of the certificate if it is one from a file.
    fn matches(&self) -> CommandResult<(DenialMatch, Option<String>)> {
        if let Some(file) = &self.file {
            let chain = chain::read(file)?;
            return self.of_certificate(&chain);
        }
        let matches = match (self.leaf, self.spki, &self.san) {
            (Some(leaf), _, _) => DenialMatch::LeafSha256(leaf),
            (_, Some(spki), _) => DenialMatch::SpkiSha256(spki),
            (_, _, Some(san)) => DenialMatch::SubjectAltName(san.clone()),
            _ => DenialMatch::IssuerAndSerial(IssuerAndSerial {
                issuer: self.issuer.clone().unwrap_or_default(),
                serial_number: self.serial.clone().unwrap_or_default(),
            }),
        };
        let matches = normal(&matches).map_err(|invalid| Failure::usage(invalid.message))?;
        Ok((matches, None))
    }

    fn of_certificate(&self, chain: &[Der]) -> CommandResult<(DenialMatch, Option<String>)> {
        let Some(Der(leaf)) = chain.first() else {
            return Err(Failure::usage("the file holds no certificate"));
        };
        let identity = LeafIdentity::read(leaf)
            .map_err(|what| Failure::new(format_args!("the certificate cannot be read: {what}")))?;
        let summary = LeafSummary::of(leaf);
        if identity.is_ca {
            return Err(Failure::usage(format_args!(
                "`{}` is a CA's certificate, and a denial refuses clients' certificates",
                printable(&summary.subject)
            ))
            .hint(
                "if it is a trust anchor, `countersign certificate deactivate` refuses all that it issued, and `countersign certificate update NAME --refuse-issued-before TIME` what it issued before a time",
            ));
        }
        let matches = match self.by {
            By::Leaf => DenialMatch::LeafSha256(identity.sha256),
            By::Key => DenialMatch::SpkiSha256(identity.spki_sha256),
            By::Serial => DenialMatch::IssuerAndSerial(identity.issuer_and_serial),
        };
        Ok((matches, Some(summary.subject)))
    }
}

/// A name for a denial without one: `CN=worker`, or what it refuses.
fn made_up(matches: &DenialMatch, subject: Option<&str>) -> String {
    let what = match (subject.filter(|subject| !subject.is_empty()), matches) {
        (None, _) => matches.to_string(),
        (Some(subject), DenialMatch::SpkiSha256(_)) => format!("key of {subject}"),
        (Some(subject), DenialMatch::IssuerAndSerial(_)) => format!("serial of {subject}"),
        (Some(subject), _) => subject.to_owned(),
    };
    printable(&what).chars().take(MAX_MADE_UP).collect()
}

impl Remove {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let named: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        let ids = resolve_all(&self.ids, client).await?;
        let changes: Vec<_> = ids
            .iter()
            .map(|id| TrustChange::DeleteDenial {
                denial_id: id.clone(),
            })
            .collect();
        let question = format!("let in again what {} refuses?", named.join(", "));
        let asked = (question.as_str(), Ask::IfUsed);
        let go_on = self.guard.before_all(client, &changes, None, asked, output);
        if !go_on.await? {
            return Ok(());
        }
        let mut waiting = self.wait.begin()?;
        let denials = self.guard.client(client).denials();
        let (mut removed, mut last) = (Vec::new(), None);
        for id in &ids {
            match waiting.change(denials.delete(id)).await? {
                Ok(answer) => {
                    last = answer.change().or(last);
                    removed.push(answer.value);
                }
                Err(error) => {
                    if !removed.is_empty() {
                        output.list(&removed)?;
                    }
                    return Err(error.into());
                }
            }
        }
        output.list(&removed)?;
        waiting.for_gateways(client, last).await
    }
}

/// The names of the projects that denials are about, where there are any and people read them.
async fn at(client: &Client, all: &[Received<Denial>], output: Output) -> Names {
    if output.is_table() && all.iter().any(|each| each.project_id.is_some()) {
        return Names::of_projects(client).await;
    }
    Names::default()
}

impl NamedRow for Denial {
    const HEAD: &'static [&'static str] = &[
        "name", "id", "at", "refuses", "state", "until", "reason", "added by", "added",
    ];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let over = self
            .expires_at
            .is_some_and(|end| end <= clock::unix_seconds());
        let reported = self.enforcement == Enforcement::Report;
        let state = match (over, reported) {
            (true, _) => Cell::State(Tone::Warning, "over".to_owned()),
            (false, true) => Cell::State(Tone::Warning, "reported".to_owned()),
            (false, false) => Cell::State(Tone::Good, "enforced".to_owned()),
        };
        row![
            self.name.clone(),
            self.id.to_string(),
            names.scope(Scope::from(self.project_id.clone()).project()),
            self.matches.to_string(),
            state,
            moment(self.expires_at),
            text_or_dash(self.reason.as_deref()),
            self.created_by.to_string(),
            moment(self.created_at),
        ]
    }
}

impl Row for DeletedDenial {
    const HEAD: &'static [&'static str] = &["removed"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
