//! `countersign certificate crl`: what CAs say which of their certificates they revoked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgGroup, Args, Subcommand};
use countersign_client::{Client, ListParams};
use countersign_types::{
    certificate::Certificate,
    crl::{CertificateCrl, Crl, CrlAddRequest, CrlMissing, DeletedCrl},
    extension,
    id::{CertificateId, CrlId},
    preview::TrustChange,
};
use countersign_verify::certificate::holds_private_key;
use data_encoding::BASE64;
use futures_util::TryStreamExt as _;

use super::{
    api::ListOptions,
    crl_files,
    guard::{Ask, Guard, supports},
    input,
    reference::Reference,
    waiting::Wait,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, expiry, moment, printable, row, text_or_dash, timestamp},
};

#[derive(Subcommand)]
pub(crate) enum CrlVerb {
    /// Add a CA's revocation list to a trust anchor, or replace the CA's earlier one: what it names is refused
    Add(Add),
    /// List a trust anchor's revocation lists, the latest of each CA
    List {
        /// The trust anchor: id or name
        #[arg(value_name = "ID|NAME")]
        id: Reference<CertificateId>,
        #[command(flatten)]
        list: ListOptions,
    },
    /// Remove a revocation list: what it names is let in again
    #[command(alias = "delete")]
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").args(["file", "url"]).required(true)))]
pub(crate) struct Add {
    /// The trust anchor: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<CertificateId>,
    /// The list as the CA publishes it, PEM or DER
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the CA publishes it: the control plane fetches it now, and again and again
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How often it is fetched [default: 1h]
    #[arg(long, value_name = "DURATION", requires = "url", value_parser = humantime::parse_duration)]
    interval: Option<Duration>,
    /// Where the anchor did not sign the list itself: PEM file of the CAs between the list's issuer and the anchor
    /// [default: those beside the list]
    #[arg(long, value_name = "FILE")]
    issuers: Option<PathBuf>,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The trust anchor: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<CertificateId>,
    /// The list; `certificate crl list` shows it [default: the only one]
    #[arg(value_name = "CRL")]
    crl: Option<CrlId>,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

impl CrlVerb {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        match self {
            Self::Add(add) => add.run(client, output).await,
            Self::List { id, list } => {
                let id = id.resolve(client).await?;
                let entries = client.crls(&id).stream(&list.params());
                output.list_of("revocation lists", &list.take(entries).await?)
            }
            Self::Remove(remove) => remove.run(client, output).await,
        }
    }
}

impl Add {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let request = CrlAddRequest {
            crl: self.file.as_deref().map(as_text).transpose()?,
            url: self.url.clone(),
            interval: self.interval.map(|interval| interval.as_secs()),
            issuer_certificates: self.issuers.as_deref().map(issuers).transpose()?,
        };
        let id = self.id.resolve(client).await?;
        require_lists(client).await?;
        let change = TrustChange::AddCertificateCrl(CertificateCrl {
            certificate_id: id.clone(),
            crl: request.crl.clone(),
            url: request.url.clone(),
            issuer_certificates: request.issuer_certificates.clone(),
        });
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let from = file.or(self.url).unwrap_or_default();
        let question = format!("refuse what `{}` names?", printable(&from));
        let asked = (question.as_str(), Ask::IfUsed);
        if !self.guard.before(client, change, asked, output).await? {
            return Ok(());
        }
        let mut waiting = self.wait.begin()?;
        let crls = self.guard.client(client).crls(&id);
        let added = waiting.change(crls.add(&request)).await??;
        output.one(&added.value)?;
        waiting.for_gateways(client, added.change()).await
    }
}

/// A list as the API takes it: PEM as it is, DER in base64.
fn as_text(path: &Path) -> CommandResult<String> {
    let bytes = crl_files::bytes(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => without_key(path, text),
        Err(binary) => Ok(BASE64.encode(binary.as_bytes())),
    }
}

/// The PEM of the CAs between a list's issuer and the anchor.
fn issuers(path: &Path) -> CommandResult<String> {
    without_key(path, input::read_pem(path)?)
}

/// A private key must not leave the machine, even though the server would refuse it.
fn without_key(path: &Path, text: String) -> CommandResult<String> {
    if !holds_private_key(&text) {
        return Ok(text);
    }
    let shown = path.display();
    Err(Failure::new(format_args!(
        "`{shown}` holds a private key; nothing was sent"
    ))
    .hint("give the CA's list or certificate alone, and keep its key where it was"))
}

/// Another server, and an earlier version, has no lists.
async fn require_lists(client: &Client) -> CommandResult {
    if supports(client, extension::CRLS).await? {
        return Ok(());
    }
    Err(Failure::new(
        "the server does not support revocation lists; nothing was changed",
    ))
}

impl Remove {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let id = self.id.resolve(client).await?;
        let crl = match &self.crl {
            Some(crl) => crl.clone(),
            None => only(client, &id, &self.id).await?,
        };
        let change = TrustChange::DeleteCertificateCrl {
            certificate_id: id.clone(),
            crl_id: crl.clone(),
        };
        let question = format!("let in again what {crl} names?");
        let asked = (question.as_str(), Ask::IfUsed);
        if !self.guard.before(client, change, asked, output).await? {
            return Ok(());
        }
        let mut waiting = self.wait.begin()?;
        let crls = self.guard.client(client).crls(&id);
        let removed = waiting.change(crls.delete(&crl)).await??;
        output.one(&removed.value)?;
        waiting.for_gateways(client, removed.change()).await
    }
}

/// The only list of a certificate.
async fn only(
    client: &Client,
    id: &CertificateId,
    given: &Reference<CertificateId>,
) -> CommandResult<CrlId> {
    let lists = client.crls(id).stream(&ListParams::default());
    let lists: Vec<_> = lists.try_collect().await?;
    match lists.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(Failure::new(format_args!(
            "`{given}` has no revocation list"
        ))),
        several => {
            let named = several.iter();
            let named: Vec<_> = named
                .map(|list| format!("{} of `{}`", list.id, printable(&list.issuer)))
                .collect();
            let message = format!("`{given}` has {} revocation lists", several.len());
            Err(Failure::usage(message).hint(format!("name one of them: {}", named.join(", "))))
        }
    }
}

/// Sets what a missing list means for a certificate.
pub(super) async fn set_missing(
    client: &Client,
    id: &Reference<CertificateId>,
    crl_missing: CrlMissing,
    (guard, wait): (&Guard, Wait),
    output: Output,
) -> CommandResult {
    let shown = id;
    let id = id.resolve(client).await?;
    require_lists(client).await?;
    let change = TrustChange::SetCertificateCrlMissing {
        certificate_id: id.clone(),
        crl_missing: Some(crl_missing),
    };
    let question = match crl_missing {
        CrlMissing::Deny => format!("refuse under {shown} what has no current revocation list?"),
        CrlMissing::Allow => format!("let in under {shown} what has no current revocation list?"),
    };
    let asked = (question.as_str(), Ask::IfUsed);
    if !guard.before(client, change, asked, output).await? {
        return Ok(());
    }
    let mut waiting = wait.begin()?;
    let crls = guard.client(client).crls(&id);
    let set = waiting
        .change(crls.set_missing(Some(crl_missing)))
        .await??;
    output.one(&set.value)?;
    waiting.for_gateways(client, set.change()).await
}

/// The lists of a certificate and what a missing one means, in a few words.
pub(super) fn summary(certificate: &Certificate) -> String {
    let missing = certificate.crl_missing.as_ref();
    let missing = missing.map(|missing| format!("missing: {missing}"));
    let lists = certificate.crls.as_ref().map(|crls| {
        let current = timestamp(crls.next_update);
        format!(
            "{} naming {}, current until {current}",
            crls.lists, crls.entries
        )
    });
    let words: Vec<_> = lists.into_iter().chain(missing).collect();
    let words = Some(words.join("; ")).filter(|words| !words.is_empty());
    text_or_dash(words.as_deref())
}

impl Row for Crl {
    const HEAD: &'static [&'static str] = &[
        "issuer",
        "id",
        "number",
        "entries",
        "made",
        "next update",
        "added",
        "fetched from",
        "trouble",
    ];

    fn cells(&self) -> Vec<Cell> {
        row![
            printable(&self.issuer),
            self.id.to_string(),
            text_or_dash(self.number.as_deref()),
            self.entries.to_string(),
            moment(self.this_update),
            expiry(Some(self.next_update)),
            moment(self.updated_at),
            text_or_dash(self.url.as_deref()),
            text_or_dash(self.last_error.as_deref()),
        ]
    }
}

impl Row for DeletedCrl {
    const HEAD: &'static [&'static str] = &["removed"];

    fn cells(&self) -> Vec<Cell> {
        row![self.id.to_string()]
    }
}
