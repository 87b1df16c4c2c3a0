//! `countersign audit-log`: every change, when, and by which key.

mod about;
pub(super) mod chain_file;
mod event_row;
mod events;
mod follow;
mod verify;

use std::{ops::ControlFlow, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use countersign_client::{AuditLogParams, Client};
use countersign_server::EVENT_TYPES;
use countersign_types::{UnixSeconds, audit::AuditHead, id::ProjectId};

pub(super) use self::{about::About, verify::parse_head};
use self::{events::fetch, follow::Follow, verify::Verify};
use super::{
    names::Names,
    noun,
    parse::{count, duration, time_or_ago},
    reference::{Reference, resolve_all},
};
use crate::{
    failure::CommandResult,
    likely::likely,
    output::{Cell, Output, Row, moment, note, row, timestamp},
};

/// How many events are shown without `--limit`: a log may be long.
const DEFAULT_LIMIT: u32 = 100;
#[derive(Subcommand)]
pub(crate) enum AuditLogVerb {
    /// List events, newest first
    List(List),
    /// Print the number and hash of the newest event; keep them elsewhere for `verify`
    Head,
    /// Verify that no event was removed, edited, moved or inserted
    Verify(Verify),
}

#[derive(Args)]
pub(crate) struct List {
    /// Stop after this many events
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, allow_negative_numbers = true, value_parser = count)]
    limit: u32,
    /// Show every event
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Which comes first: the oldest (asc) of the events that are shown, or the newest
    #[arg(long, value_name = "ORDER", value_parser = ["asc", "desc"], default_value = "desc", conflicts_with = "follow")]
    order: String,
    /// Only events at this time or later: RFC 3339, Unix seconds, or how long ago, such as `1h`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time_or_ago)]
    since: Option<UnixSeconds>,
    /// Only events before this time: RFC 3339, Unix seconds, or how long ago, such as `1h`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time_or_ago)]
    until: Option<UnixSeconds>,
    /// Only events of this project: id or name; may be repeated
    #[arg(long, value_name = "ID|NAME")]
    project: Vec<Reference<ProjectId>>,
    /// Only events of this type, such as `certificate.deleted`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<EventType>,
    /// Only events caused by this admin key: id or name; may be repeated
    #[arg(long, value_name = "ID|NAME")]
    actor: Vec<About>,
    /// Only events about this certificate, project, account or key: id or name; may be repeated
    #[arg(long, value_name = "ID|NAME")]
    resource: Vec<About>,
    /// Keep printing new events, oldest first, until interrupted
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    /// How often `--follow` asks for new events
    #[arg(long, value_name = "DURATION", default_value = "2s", requires = "follow", value_parser = duration)]
    interval: Duration,
}

/// A type of event that there is.
#[derive(Debug, Clone)]
pub(crate) struct EventType(String);

impl EventType {
    /// The names of all types.
    pub(super) fn all() -> impl Iterator<Item = &'static str> {
        EVENT_TYPES.into_iter()
    }
}

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Self::all().any(|known| known == text) {
            return Ok(Self(text.to_owned()));
        }
        Err(match likely(text, Self::all()) {
            Some(known) => format!("there is no such type; did you mean `{known}`?"),
            None => "there is no such type; `certificate.created` is one".to_owned(),
        })
    }
}

impl noun::Verb<Client> for AuditLogVerb {
    fn run_offline(self, output: Output) -> ControlFlow<CommandResult, Self> {
        match self {
            Self::Verify(verify) => match verify.run_offline(output) {
                ControlFlow::Break(done) => ControlFlow::Break(done),
                ControlFlow::Continue(verify) => ControlFlow::Continue(Self::Verify(verify)),
            },
            online => ControlFlow::Continue(online),
        }
    }

    async fn run(self, client: &Client, output: Output) -> CommandResult {
        match self {
            Self::List(list) => list.run(client, output).await,
            Self::Head => output.one(&client.audit_logs().retrieve_head().await?.value),
            Self::Verify(verify) => verify.run(client, output).await,
        }
    }
}

impl List {
    async fn run(&self, client: &Client, output: Output) -> CommandResult {
        let filter = self.filter(client).await?;
        let limit = (!self.all).then_some(self.limit);
        if self.follow {
            return Follow::new(client, filter, self.interval)
                .run(limit, output)
                .await;
        }
        let mut events = fetch(client, &filter, limit.map(|limit| limit.saturating_add(1))).await?;
        let most = limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let more = events.len() > most;
        events.truncate(most);
        if self.order == "asc" {
            events.reverse();
        }
        let names = Names::of_everything(client, output).await;
        output.list_of(&self.what(), &names.beside(events))?;
        if more {
            note(&format!("{most} shown; `--all` shows the rest"));
        }
        Ok(())
    }

    async fn filter(&self, client: &Client) -> CommandResult<AuditLogParams> {
        Ok(AuditLogParams {
            effective_from: self.since,
            effective_before: self.until,
            project_ids: resolve_all(&self.project, client).await?,
            event_types: self.event_type.iter().map(|each| each.0.clone()).collect(),
            actor_ids: about::actors(client, &self.actor).await?,
            resource_ids: about::resources(client, &self.resource).await?,
            ..AuditLogParams::default()
        })
    }

    /// What was looked for.
    fn what(&self) -> String {
        let filters = [&self.actor, &self.resource]
            .iter()
            .any(|all| !all.is_empty());
        let filters = filters || !(self.event_type.is_empty() && self.project.is_empty());
        let mut what = if filters {
            "such audit events".to_owned()
        } else {
            "audit events".to_owned()
        };
        for (word, at) in [("since", self.since), ("before", self.until)] {
            if let Some(at) = at {
                what += &format!(" {word} {}", timestamp(at));
            }
        }
        what
    }
}

impl Row for AuditHead {
    const HEAD: &'static [&'static str] = &["number", "sha256", "at"];

    fn cells(&self) -> Vec<Cell> {
        let (number, sha256) = (self.number.to_string(), self.sha256.to_string());
        row![number, sha256, moment(self.effective_at)]
    }
}
