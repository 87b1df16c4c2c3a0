//! `countersign audit-log`: what was done, by which key.

mod chain_file;
mod verify;

use std::{collections::HashSet, time::Duration};

use clap::{Args, Subcommand};
use countersign_client::{AuditLogParams, Client};
use countersign_types::{
    UnixSeconds,
    audit::{AuditHead, AuditLog as Event},
    id::{AuditLogId, ProjectId},
};

use self::verify::Verify;
use super::api::{ApiOptions, block_on, page_size, take};
use crate::{
    failure::Outcome,
    output::{Output, Row, moment, text_or_dash},
};

/// How many events are shown when nothing is asked: a log may be long.
const USUAL_LIMIT: u32 = 100;
/// How far `--follow` looks back each time, in seconds: another node's clock may be behind.
const OVERLAP: UnixSeconds = 60;

#[derive(Args)]
pub(crate) struct AuditLog {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    api: ApiOptions,
}

#[derive(Subcommand)]
enum Verb {
    /// List events, newest first
    List(List),
    /// Print the number and the hash of the newest event, to be kept elsewhere
    Head,
    /// Check that no event was removed, edited, moved or inserted
    Verify(Verify),
}

#[derive(Args)]
struct List {
    /// Stop after this many events
    #[arg(long, value_name = "N", default_value_t = USUAL_LIMIT, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only at this moment or later (RFC 3339 or Unix seconds)
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment)]
    since: Option<UnixSeconds>,
    /// Only earlier than this moment (RFC 3339 or Unix seconds)
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment)]
    until: Option<UnixSeconds>,
    /// Only about this project; may be repeated
    #[arg(long, value_name = "ID")]
    project: Vec<ProjectId>,
    /// Only of this type, such as `certificate.deleted`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<String>,
    /// Only by this key; may be repeated
    #[arg(long, value_name = "ID")]
    actor: Vec<String>,
    /// Only about this certificate, project, account or key; may be repeated
    #[arg(long, value_name = "ID")]
    resource: Vec<String>,
    /// Then wait for new events, oldest first, until interrupted
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    /// Seconds between two looks with `--follow`
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

fn parse_moment(text: &str) -> Result<UnixSeconds, String> {
    let wanted = || "write a moment as `2026-01-31T12:00:00Z` or in Unix seconds".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let format = &time::format_description::well_known::Rfc3339;
    let parsed = time::OffsetDateTime::parse(text, format).map_err(|_| wanted())?;
    u64::try_from(parsed.unix_timestamp()).map_err(|_| wanted())
}

impl AuditLog {
    pub(crate) fn run(self, output: Output) -> Outcome {
        match self.verb {
            Verb::List(list) => {
                let client = self.api.client()?;
                block_on(list.run(&client, output))
            }
            Verb::Head => {
                let client = self.api.client()?;
                block_on(async { output.one(&client.audit_logs().retrieve_head().await?.value) })
            }
            Verb::Verify(verify) => verify.run(&self.api, output),
        }
    }
}

impl List {
    async fn run(&self, client: &Client, output: Output) -> Outcome {
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
    ) -> Outcome<Vec<Event>> {
        let params = AuditLogParams {
            effective_from: since,
            effective_before: self.until,
            project_ids: self.project.clone(),
            event_types: self.event_type.clone(),
            actor_ids: self.actor.clone(),
            resource_ids: self.resource.clone(),
            limit: Some(page_size(limit)),
            ..AuditLogParams::default()
        };
        take(client.audit_logs().stream(&params), limit).await
    }

    /// Shows what there is, then looks again and again at the last minute before the newest event
    /// and shows what is new there.
    async fn follow(&self, client: &Client, output: Output) -> Outcome {
        let history = self.fetch(client, self.since, Some(self.limit)).await?;
        history
            .iter()
            .rev()
            .try_for_each(|event| output.entry(event))?;
        let mut newest = history.first().map_or(0, |event| event.effective_at);
        let mut events = self.recent(client, newest).await?;
        // What the limit cut off the history is old, though it was not shown.
        let known = events
            .iter()
            .position(|event| Some(event) == history.first());
        let known = events.iter().skip(known.unwrap_or(events.len()));
        let mut seen: HashSet<AuditLogId> = known.map(|event| event.id.clone()).collect();
        let mut ticks = tokio::time::interval(Duration::from_secs(self.interval));
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
            seen = events.into_iter().map(|event| event.id).collect();
            ticks.tick().await;
            events = self.recent(client, newest).await?;
        }
    }

    async fn recent(&self, client: &Client, newest: UnixSeconds) -> Outcome<Vec<Event>> {
        let since = newest.saturating_sub(OVERLAP).max(self.since.unwrap_or(0));
        self.fetch(client, Some(since), None).await
    }
}

impl Row for AuditHead {
    const HEAD: &'static [&'static str] = &["number", "sha256", "at"];

    fn cells(&self) -> Vec<String> {
        let (number, sha256) = (self.number.to_string(), self.sha256.to_string());
        vec![number, sha256, moment(self.effective_at)]
    }
}

impl Row for Event {
    const HEAD: &'static [&'static str] = &["at", "type", "actor", "about"];

    fn cells(&self) -> Vec<String> {
        let key = self.actor.as_ref().and_then(|actor| actor.api_key.as_ref());
        let actor = match key {
            Some(key) => key.id.to_string(),
            None => text_or_dash(self.actor.as_ref().map(|actor| actor.kind.as_str())),
        };
        vec![
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
    let project = event.project.as_ref().map(|project| project.id.to_string());
    ids.extend(project.filter(|project| !ids.contains(project)));
    ids.join(" ")
}

#[cfg(test)]
mod tests {
    use super::parse_moment;

    #[test]
    fn a_moment_is_rfc_3339_or_unix_seconds() {
        assert_eq!(parse_moment("0"), Ok(0));
        assert_eq!(parse_moment("2023-11-14T22:13:20Z"), Ok(1_700_000_000));
        assert_eq!(parse_moment("2023-11-14T23:13:20+01:00"), Ok(1_700_000_000));
        assert!(parse_moment("yesterday").is_err());
        assert!(parse_moment("1969-12-31T23:59:59Z").is_err());
    }
}
