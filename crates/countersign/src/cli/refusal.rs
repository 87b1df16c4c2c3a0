//! `countersign refusal`: who is refused, and why.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::refusal::Refusal;

use super::{api::ListOptions, noun::Verb};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash},
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
        let entries = client.refusals().stream(&list.params());
        output.list(&list.take(entries).await?)
    }
}

impl Row for Refusal {
    const HEAD: &'static [&'static str] = &[
        "code",
        "project",
        "key",
        "leaf",
        "sha-256",
        "requests",
        "first seen",
        "last seen",
    ];

    fn cells(&self) -> Vec<Cell> {
        let id = |id: Option<&str>| text_or_dash(id);
        let leaf = self.leaf.as_ref();
        let sha256 = leaf.map(|leaf| leaf.sha256.to_string());
        row![
            self.code.to_string(),
            id(self.project_id.as_ref().map(AsRef::as_ref)),
            id(self.api_key_id.as_ref().map(AsRef::as_ref)),
            text_or_dash(leaf.map(|leaf| leaf.subject.as_str())),
            text_or_dash(sha256.as_deref()),
            self.requests.to_string(),
            moment(self.first_seen),
            moment(self.last_seen),
        ]
    }
}
