//! `countersign certificate update`: a trust anchor's name, from when on the client certificates under it must have
//! been issued, and what a missing revocation list means.

use clap::{ArgGroup, Args};
use countersign_client::Client;
use countersign_types::{
    UnixSeconds,
    certificate::{Enforcement, ModifyCertificateRequest},
    id::CertificateId,
    preview::TrustChange,
};

use super::{
    crl,
    crl_files::Missing,
    guard::{Ask, Guard},
    reference::Reference,
    waiting::Wait,
};
use crate::{
    clock,
    failure::{CommandResult, Failure},
    output::{Output, note, timestamp},
};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["name", "refuse_issued_before", "accept_any_age", "crl_missing"]).required(true)))]
pub(crate) struct Update {
    /// The certificate: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<CertificateId>,
    /// The new name
    #[arg(long, value_parser = super::parse::name)]
    name: Option<String>,
    /// Refuse client certificates whose `notBefore` is earlier: for the day when a CA issued what it should not
    /// have. It trusts the dates that the CA writes: if the CA's key leaked, deactivate the certificate instead
    #[arg(long, value_name = "TIME", value_parser = super::parse::time)]
    refuse_issued_before: Option<UnixSeconds>,
    /// Refuse none by its age any more
    #[arg(long)]
    accept_any_age: bool,
    /// What happens to a client certificate of whose issuer there is no current revocation list: `allow` lets it in and
    /// counts it
    #[arg(long, value_name = "allow|deny", hide_possible_values = true)]
    crl_missing: Option<Missing>,
    /// Report only: count and log what would be refused, and go on as before
    #[arg(long, conflicts_with_all = ["preview", "name", "crl_missing"])]
    report: bool,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

impl Update {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        if let Some(name) = self.name {
            let id = self.id.resolve(client).await?;
            let change = ModifyCertificateRequest { name: Some(name) };
            let renamed = client.certificates().update(&id, &change).await?;
            return output.one(&renamed.value);
        }
        if let Some(missing) = self.crl_missing {
            let with = (&self.guard, self.wait);
            return crl::set_missing(client, &self.id, missing.into(), with, output).await;
        }
        let floor = self.refuse_issued_before;
        if floor.is_some_and(|floor| floor > clock::unix_seconds()) {
            return Err(Failure::usage(
                "`--refuse-issued-before` is in the future: what is issued until then would be refused, too",
            )
            .hint("give the time from which on the CA issued as it should, or now"));
        }
        let id = self.id.resolve(client).await?;
        // What is only reported refuses nobody.
        if !self.report {
            let change = TrustChange::SetCertificateFloor {
                certificate_id: id.clone(),
                refuse_issued_before: floor,
                enforcement: Enforcement::Enforce,
            };
            let question = match floor {
                Some(floor) => format!(
                    "refuse what {} issued before {}?",
                    self.id,
                    timestamp(floor)
                ),
                None => format!("refuse nothing that {} issued by its age?", self.id),
            };
            let asked = (question.as_str(), Ask::IfUsed);
            if !self.guard.before(client, change, asked, output).await? {
                return Ok(());
            }
        }
        let mut waiting = self.wait.begin()?;
        let certificates = self.guard.client(client).certificates();
        let enforcement = if self.report {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        };
        let set = waiting.change(certificates.set_floor(&id, floor, enforcement));
        let set = set.await??;
        output.one(&set.value)?;
        if floor.is_some() && !self.report {
            note("the dates in certificates are the CA's word: if its key leaked, deactivate it");
        }
        waiting.for_gateways(client, set.change()).await
    }
}
