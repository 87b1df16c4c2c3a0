//! `countersign refusal`: who is refused, and why.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::refusal::Refusal;

use super::{
    api::ListOptions,
    names::{NamedRow, Names},
    noun::Verb,
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum RefusalVerb {
    /// List refused requests by caller, client certificate and code
    List {
        #[command(flatten)]
        list: ListOptions,
    },
}

impl Verb<Client> for RefusalVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let Self::List { list } = self;
        let entries = list.take(client.refusals().stream(&list.params())).await?;
        let names = of(client, entries.iter().map(|each| &**each), output).await;
        output.list_of("refusals", &names.beside(entries))
    }
}

/// The names of those that were refused, if the output is for people.
pub(super) async fn of<'a>(
    client: &Client,
    refusals: impl Iterator<Item = &'a Refusal>,
    output: Output,
) -> Names {
    if !output.is_table() {
        return Names::default();
    }
    let caller = |each: &'a Refusal| (each.project_id.as_ref(), each.api_key_id.as_ref());
    Names::of_callers(client, refusals.map(caller)).await
}

impl NamedRow for Refusal {
    const HEAD: &'static [&'static str] = &[
        "client",
        "code",
        "project",
        "key",
        "requests",
        "first seen",
        "last seen",
        "sha-256",
    ];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let leaf = self.leaf.as_ref();
        let sha256 = leaf.map(|leaf| leaf.sha256.to_string());
        let client = match leaf {
            Some(leaf) if leaf.subject.is_empty() => "a certificate without a subject",
            Some(leaf) => &leaf.subject,
            None => "no certificate",
        };
        row![
            client,
            self.code.to_string(),
            text_or_dash(self.project_id.as_ref().map(|id| names.project(id))),
            text_or_dash(self.api_key_id.as_ref().map(|id| names.key(id))),
            self.requests.to_string(),
            moment(self.first_seen),
            moment(self.last_seen),
            text_or_dash(sha256.as_deref()),
        ]
    }
}
