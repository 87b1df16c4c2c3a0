//! `countersign receipt-key`: the keys that gateways sign receipts with.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::{id::ReceiptKeyId, receipt::ReceiptKey};

use super::{api::ListOptions, noun::Verb};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, confirm, moment, row, text_or_dash},
};

#[derive(Subcommand)]
pub(crate) enum ReceiptKeyVerb {
    /// List the keys of gateways whose receipts the organization believes, and those that were withdrawn
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Withdraw a key for good: no gateway gives receipts with it any more, and none can register it again
    Withdraw {
        /// The key: its id, which receipts name as `kid`
        id: ReceiptKeyId,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Verb<Client> for ReceiptKeyVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let keys = client.receipt_keys();
        match self {
            Self::List { list } => {
                let entries = list.take(keys.stream(&list.params())).await?;
                output.list_of("receipt keys", &entries)
            }
            Self::Withdraw { id, yes } => {
                confirm(&format!("withdraw {id} for good?"), yes)?;
                output.one(&keys.withdraw(&id).await?.value)
            }
        }
    }
}

impl Row for ReceiptKey {
    const HEAD: &'static [&'static str] =
        &["id", "gateway", "registered with", "created", "withdrawn"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.id.to_string(),
            self.gateway_id.to_string(),
            text_or_dash(self.gateway_key_id.as_ref().map(|id| id.as_str())),
            moment(self.created_at),
            moment(self.withdrawn_at),
        ]
    }
}
