//! `countersign token-key`: the keys that tokens of workloads are signed with.

use clap::Subcommand;
use countersign_client::Client;
use countersign_types::token_key::{TokenKey, TokenKeyRotateRequest};

use super::{api::ListOptions, noun::Verb};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, confirm, moment, row},
};

#[derive(Subcommand)]
pub(crate) enum TokenKeyVerb {
    /// List the organization's token keys
    List {
        #[command(flatten)]
        list: ListOptions,
    },
    /// Put a new key in place of the newest; no token is refused for it. Keys of 30 days are replaced anyway
    Rotate {
        /// End the keys of before at once, and every token of the organization with them: for a key that
        /// others may know
        #[arg(long)]
        at_once: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Verb<Client> for TokenKeyVerb {
    async fn run(self, client: &Client, output: Output) -> CommandResult {
        let keys = client.token_keys();
        match self {
            Self::List { list } => {
                let entries = list.take(keys.stream(&list.params())).await?;
                output.list_of("token keys", &entries)
            }
            Self::Rotate { at_once, yes } => {
                if at_once {
                    confirm("end every token of the organization now?", yes)?;
                }
                let how = TokenKeyRotateRequest {
                    at_once: at_once.then_some(true),
                };
                output.one(&keys.rotate(&how).await?.value)
            }
        }
    }
}

impl Row for TokenKey {
    const HEAD: &'static [&'static str] = &["id", "created", "signs from", "ends"];

    fn cells(&self) -> Vec<Cell> {
        row![
            self.id.to_string(),
            moment(self.created_at),
            moment(self.signs_at),
            moment(self.expires_at),
        ]
    }
}
