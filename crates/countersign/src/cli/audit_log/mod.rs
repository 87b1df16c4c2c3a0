//! `countersign audit-log`: every change, when, and by which key.

mod chain_file;
mod events;
mod follow;
mod verify;

use std::{ops::ControlFlow, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use countersign_client::{AuditLogParams, Client};
use countersign_server::EVENT_TYPES;
use countersign_types::{
    UnixSeconds,
    audit::{AuditHead, AuditLog as Event},
    id::ProjectId,
};

use self::{events::fetch, follow::Follow, verify::Verify};
use super::{
    noun,
    parse::{count, duration, time_or_ago},
    reference::{Reference, resolve_all},
};
use crate::{
    failure::CommandResult,
    likely::likely,
    output::{Cell, Output, Row, moment, note, row, text_or_dash},
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
    #[arg(long, value_name = "TIME", value_parser = time_or_ago)]
    since: Option<UnixSeconds>,
    /// Only events before this time: RFC 3339, Unix seconds, or how long ago, such as `1h`
    #[arg(long, value_name = "TIME", value_parser = time_or_ago)]
    until: Option<UnixSeconds>,
    /// Only events of this project: id or name; may be repeated
    #[arg(long, value_name = "ID|NAME")]
    project: Vec<Reference<ProjectId>>,
    /// Only events of this type, such as `certificate.deleted`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<EventType>,
    /// Only events caused by this key; may be repeated
    #[arg(long, value_name = "ID")]
    actor: Vec<String>,
    /// Only events about this certificate, project, account or key; may be repeated
    #[arg(long, value_name = "ID")]
    resource: Vec<String>,
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
        output.list(&events)?;
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
            actor_ids: self.actor.clone(),
            resource_ids: self.resource.clone(),
            ..AuditLogParams::default()
        })
    }
}

impl Row for AuditHead {
    const HEAD: &'static [&'static str] = &["number", "sha256", "at"];

    fn cells(&self) -> Vec<Cell> {
        let (number, sha256) = (self.number.to_string(), self.sha256.to_string());
        row![number, sha256, moment(self.effective_at)]
    }
}

impl Row for Event {
    const HEAD: &'static [&'static str] = &["at", "type", "actor", "about"];

    fn cells(&self) -> Vec<Cell> {
        let actor = self.actor.as_ref();
        let key = actor.and_then(|actor| actor.api_key.as_ref()?.id.as_ref());
        let actor = match key {
            Some(key) => key.to_string(),
            None => text_or_dash(actor.and_then(|actor| actor.kind.as_deref())),
        };
        row![
            moment(self.effective_at),
            self.event_type.clone(),
            actor,
            about(self),
        ]
    }
}

/// The ids in an event's details: of the thing itself, or of the certificates it lists.
fn about(event: &Event) -> String {
    let Some(details) = event.details.get(&event.event_type) else {
        return "-".to_owned();
    };
    let certificates = details.get("certificates").and_then(|list| list.as_array());
    let ids = |value: &serde_json::Value| {
        let id = value.get("id").and_then(|id| id.as_str());
        id.map(str::to_owned)
    };
    let mut ids: Vec<String> = match certificates {
        Some(list) => list.iter().filter_map(ids).collect(),
        None => ids(details).into_iter().collect(),
    };
    let project = event
        .project
        .as_ref()
        .and_then(|project| project.id.as_ref());
    let project = project.map(ToString::to_string);
    ids.extend(project.filter(|project| !ids.contains(project)));
    ids.join(" ")
}
