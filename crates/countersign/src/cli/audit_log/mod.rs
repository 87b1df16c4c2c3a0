//! `countersign audit-log`: every change, when, and by which key.

mod chain_file;
mod verify;

use std::{collections::HashSet, ops::ControlFlow, time::Duration};

use clap::{Args, Subcommand};
use countersign_client::{AuditLogParams, Client, Received};
use countersign_types::{
    UnixSeconds,
    audit::{AuditHead, AuditLog as Event},
    id::{AuditLogId, ProjectId},
};

use self::verify::Verify;
use super::{
    api::{page_size, take},
    noun,
    parse::{count, duration, time},
    reference::{Reference, resolve_all},
};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, moment, row, text_or_dash},
};

/// How many events are shown without `--limit`: a log may be long.
const DEFAULT_LIMIT: u32 = 100;
/// How far `--follow` looks back each time, in seconds: another node's clock may be behind.
const OVERLAP: UnixSeconds = 60;

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
    /// Only events at this time or later (RFC 3339 or Unix seconds)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixSeconds>,
    /// Only events before this time (RFC 3339 or Unix seconds)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixSeconds>,
    /// Only events of this project: id or name; may be repeated
    #[arg(long, value_name = "ID|NAME")]
    project: Vec<Reference<ProjectId>>,
    /// Only events of this type, such as `certificate.deleted`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<String>,
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
        if self.follow {
            return self.follow(client, output).await;
        }
        output.list(&self.fetch(client, self.since, Some(self.limit)).await?)
    }

    async fn fetch(
        &self,
        client: &Client,
        since: Option<UnixSeconds>,
        limit: Option<u32>,
    ) -> CommandResult<Vec<Received<Event>>> {
        let params = AuditLogParams {
            effective_from: since,
            effective_before: self.until,
            project_ids: resolve_all(&self.project, client).await?,
            event_types: self.event_type.clone(),
            actor_ids: self.actor.clone(),
            resource_ids: self.resource.clone(),
            limit: Some(page_size(limit)),
            ..AuditLogParams::default()
        };
        take(client.audit_logs().stream(&params), limit).await
    }

    /// Shows the latest events, then keeps asking for events since a minute before the newest one
    /// and shows those that are new.
    async fn follow(&self, client: &Client, output: Output) -> CommandResult {
        let history = self.fetch(client, self.since, Some(self.limit)).await?;
        history
            .iter()
            .rev()
            .try_for_each(|event| output.entry(event))?;
        let mut newest = history.first().map_or(0, |event| event.effective_at);
        let mut events = self.recent(client, newest).await?;
        // Events that the limit cut off are old, though they were not shown.
        let known = events
            .iter()
            .position(|event| Some(event) == history.first());
        let known = events.iter().skip(known.unwrap_or(events.len()));
        let mut seen: HashSet<AuditLogId> = known.map(|event| event.id.clone()).collect();
        let mut ticks = tokio::time::interval(self.interval);
        ticks.tick().await;
        loop {
            for event in events
                .iter()
                .rev()
                .filter(|event| !seen.contains(&event.id))
            {
                output.entry(event)?;
                newest = newest.max(event.effective_at);
            }
            seen = events.iter().map(|event| event.id.clone()).collect();
            ticks.tick().await;
            events = self.recent(client, newest).await?;
        }
    }

    async fn recent(
        &self,
        client: &Client,
        newest: UnixSeconds,
    ) -> CommandResult<Vec<Received<Event>>> {
        let since = newest.saturating_sub(OVERLAP).max(self.since.unwrap_or(0));
        self.fetch(client, Some(since), None).await
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
