//! `countersign audit-log list --follow`: events as they are written.

use std::{collections::HashSet, time::Duration};

use countersign_client::{AuditLogParams, Client, Error, Received};
use countersign_types::{UnixSeconds, audit::AuditLog as Event, id::AuditLogId};

use super::events::fetch;
use crate::{
    cli::names::Names,
    failure::CommandResult,
    output::{Output, note},
};

/// How far it looks back each time, in seconds: another node's clock may be behind.
const OVERLAP: UnixSeconds = 60;

pub(super) struct Follow<'a> {
    client: &'a Client,
    filter: AuditLogParams,
    interval: Duration,
    /// When the newest event that is known was written.
    newest: UnixSeconds,
    /// Those that need not be shown any more.
    seen: HashSet<AuditLogId>,
    /// Whether the server did not answer the last time.
    failing: bool,
}

impl<'a> Follow<'a> {
    pub(super) fn new(client: &'a Client, filter: AuditLogParams, interval: Duration) -> Self {
        Self {
            client,
            filter,
            interval,
            newest: 0,
            seen: HashSet::new(),
            failing: false,
        }
    }

    /// Shows the latest events, then keeps asking for events since a minute before the newest one and
    /// shows those that are new. A server that is away for a while is asked again.
    pub(super) async fn run(mut self, limit: Option<u32>, output: Output) -> CommandResult {
        let history = fetch(self.client, &self.filter, limit).await?;
        self.print(history.iter().rev(), output).await?;
        self.newest = history.first().map_or(0, |event| event.effective_at);
        let events = self.recent().await?;
        // Events that the limit cut off are old, though they were not shown.
        let known = events
            .iter()
            .position(|event| Some(event) == history.first());
        let known = events.iter().skip(known.unwrap_or(events.len()));
        self.seen = known.map(|event| event.id.clone()).collect();
        self.show(&events, output).await?;
        let mut ticks = tokio::time::interval(self.interval);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match self.recent().await {
                Ok(events) => {
                    self.failing = false;
                    self.show(&events, output).await?;
                }
                Err(error) if can_pass(&error) => {
                    if !self.failing {
                        note(&format!("{error}; trying again"));
                    }
                    self.failing = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn show(&mut self, events: &[Received<Event>], output: Output) -> CommandResult {
        let new = events.iter().rev();
        let new: Vec<_> = new.filter(|event| !self.seen.contains(&event.id)).collect();
        let latest = new.iter().map(|event| event.effective_at).max();
        self.print(new.into_iter(), output).await?;
        self.newest = self.newest.max(latest.unwrap_or_default());
        self.seen = events.iter().map(|event| event.id.clone()).collect();
        Ok(())
    }

    /// Prints events with the names that there are now.
    async fn print<'e>(
        &self,
        events: impl ExactSizeIterator<Item = &'e Received<Event>>,
        output: Output,
    ) -> CommandResult {
        if events.len() == 0 {
            return Ok(());
        }
        let names = Names::of_everything(self.client, output).await;
        let mut events = events.map(|event| names.named(event));
        events.try_for_each(|event| output.entry(&event))
    }

    async fn recent(&self) -> Result<Vec<Received<Event>>, Error> {
        let since = self.newest.saturating_sub(OVERLAP);
        let filter = AuditLogParams {
            effective_from: Some(since.max(self.filter.effective_from.unwrap_or(0))),
            ..self.filter.clone()
        };
        fetch(self.client, &filter, None).await
    }
}

/// Whether asking again later may help.
fn can_pass(error: &Error) -> bool {
    match error {
        Error::Connection { .. } | Error::Timeout { .. } => true,
        error => matches!(error.status(), Some(429 | 500..)),
    }
}
