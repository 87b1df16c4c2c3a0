//! `countersign audit-log verify`: shows whether the log is complete and unchanged.

use std::{
    fmt::Display,
    ops::ControlFlow,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use countersign_client::{AuditLogParams, Client};
use countersign_types::{
    audit::{AuditDocument, AuditHead},
    id::AuditLogId,
    page::{Listed, MAX_LIMIT},
};
use countersign_verify::audit_chain::{ChainFault, ChainWalk, EventPosition, KeptHead};
use futures_util::{Stream, TryStreamExt, stream};
use serde::Serialize;

use super::chain_file;
use crate::{
    cli::api::block_on,
    failure::{CommandResult, Failure},
    output::{Output, note, printable},
};

/// Verify that no event was removed, edited, moved or inserted
#[derive(Args)]
pub(crate) struct Verify {
    /// The oldest event to check, by number or id [default: the first]
    #[arg(long, value_name = "EVENT")]
    from: Option<RangeEnd>,
    /// The newest event to check, by number or id [default: the latest]
    #[arg(long, value_name = "EVENT")]
    to: Option<RangeEnd>,
    /// A head that you kept earlier; it must be among the checked events. May be repeated
    #[arg(long, value_name = "[NUMBER:]SHA256", value_parser = parse_head)]
    head: Vec<KeptHead>,
    /// Check an exported log (JSON or JSON Lines, `-` for standard input) instead of the server's
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Where a range ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RangeEnd {
    Number(u64),
    Id(AuditLogId),
}

impl FromStr for RangeEnd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("event numbers start at 1"),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text
                .parse()
                .map(Self::Id)
                .map_err(|_| "give an event's number, or its id `audit_log-...`"),
        }
    }
}

pub(in crate::cli) fn parse_head(text: &str) -> Result<KeptHead, String> {
    let (number, sha256) = match text.split_once(':') {
        Some((number, sha256)) => (Some(number), sha256),
        None => (None, text),
    };
    let number = number.map(str::parse).transpose();
    let number = number.map_err(|_| "give a head as `NUMBER:SHA256`, or the hash alone")?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a hash has 64 hexadecimal digits".to_owned());
    }
    let sha256 = sha256.to_ascii_lowercase();
    Ok(KeptHead { number, sha256 })
}

/// The result of the check.
#[derive(Serialize)]
struct Report {
    intact: bool,
    events: u64,
    /// The oldest event that was checked.
    from: Option<EventPosition>,
    /// The newest, and its hash: a head to keep.
    to: Option<EventPosition>,
    sha256: Option<String>,
    faults: Vec<ReportedFault>,
}

#[derive(Serialize)]
struct ReportedFault {
    #[serde(flatten)]
    fault: ChainFault,
    message: String,
}

impl Verify {
    /// Checks an export; a server's log is left to [`Verify::run`].
    pub(super) fn run_offline(self, output: Output) -> ControlFlow<CommandResult, Self> {
        match &self.file {
            Some(path) => ControlFlow::Break(self.run_on_file(path, output)),
            None => ControlFlow::Continue(self),
        }
    }

    fn run_on_file(&self, path: &Path, output: Output) -> CommandResult {
        let events = chain_file::read(path)?;
        let events = stream::iter(events.into_iter().map(Ok));
        let report = block_on(self.check(events, Vec::new()))?;
        report.show(output)?;
        let begins = report.from.as_ref().map_or(1, |place| place.number);
        if self.from.is_none() && begins > 1 {
            note(&format!(
                "note: the file is a tail: it begins with event {begins}, and nothing is known of those before it; `--from 1` requires them",
            ));
        }
        if self.head.is_empty() {
            note(
                "note: this cannot show whether newer events were cut off; to check that, pass a head that you kept with `--head`",
            );
        }
        Ok(())
    }

    /// Checks a server's log.
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        self.check_server(client).await?.show(output)
    }

    async fn check_server(&self, client: &Client) -> CommandResult<Report> {
        let log = client.audit_logs();
        let head = log.retrieve_head().await?.value;
        if let Some(RangeEnd::Number(from)) = &self.from
            && *from > head.number
        {
            return Err(no_event(from));
        }
        // Events above this head were written while we read; all up to it must be there.
        let kept = self.to.is_none().then(|| KeptHead {
            number: Some(head.number),
            sha256: head.sha256.to_string(),
        });
        let params = AuditLogParams {
            limit: Some(MAX_LIMIT),
            ..AuditLogParams::default()
        };
        let events = log.stream_documents(&params).map_err(Failure::from);
        let mut report = self.check(events, kept.into_iter().collect()).await?;
        // Asked again after the events: one above this head was not written by the server.
        let later = log.retrieve_head().await?.value;
        report.check_against(&later);
        Ok(report)
    }

    /// Checks the events of the range, which arrive newest first.
    async fn check(
        &self,
        events: impl Stream<Item = CommandResult<AuditDocument>>,
        mut heads: Vec<KeptHead>,
    ) -> CommandResult<Report> {
        heads.extend(self.head.iter().cloned());
        let mut walk = ChainWalk::new(heads);
        let mut begun = self.to.is_none();
        let mut ended = false;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            begun = begun || self.to.as_ref().is_some_and(|to| to.includes(&event));
            // Events come newest first, so those above the range are skipped, not an end.
            if !begun {
                continue;
            }
            if matches!(&self.from, Some(RangeEnd::Number(from)) if is_below(&event, *from)) {
                break;
            }
            walk.step(&event.0);
            ended = matches!(&self.from, Some(RangeEnd::Id(id)) if event.id() == id.as_str());
            if ended {
                break;
            }
        }
        if let (Some(RangeEnd::Id(id)), false) = (&self.from, ended) {
            return Err(no_event(id));
        }
        if let (Some(RangeEnd::Id(id)), false) = (&self.to, begun) {
            return Err(no_event(id));
        }
        let first = match &self.from {
            // An export may be a part of the log; the log that a server has must be whole.
            None if self.file.is_some() => walk.lowest().map_or(1, |place| place.number),
            None => 1,
            Some(RangeEnd::Number(from)) => *from,
            Some(RangeEnd::Id(_)) => walk.lowest().map_or(1, |place| place.number),
        };
        let report = Report::of(walk, first, self.to.as_ref());
        if report.events == 0 && report.intact {
            return Err(Failure::new("no events to check"));
        }
        Ok(report)
    }
}

/// A range is not intact when one of its ends is missing.
fn no_event(named: impl Display) -> Failure {
    Failure::new(format_args!("there is no event `{named}`"))
}

impl RangeEnd {
    /// Whether an event is at or below this newest end of a range.
    fn includes(&self, event: &AuditDocument) -> bool {
        match self {
            Self::Number(to) => number(event).is_none_or(|number| number <= *to),
            Self::Id(id) => event.id() == id.as_str(),
        }
    }
}

fn number(event: &AuditDocument) -> Option<u64> {
    event.0.get("chain")?.get("number")?.as_u64()
}

/// An event without a number counts as inside the range, so that it is reported as a fault.
fn is_below(event: &AuditDocument, from: u64) -> bool {
    number(event).is_some_and(|number| number > 0 && number < from)
}

impl Report {
    fn of(mut walk: ChainWalk, first: u64, to: Option<&RangeEnd>) -> Self {
        let (from, newest) = (walk.lowest().cloned(), walk.newest());
        let newest = newest.map(|(place, sha256)| (place.clone(), sha256.to_owned()));
        let events = walk.events();
        if let (Some(RangeEnd::Number(to)), Some((place, _))) = (to, &newest)
            && place.number < *to
        {
            walk.fault(ChainFault::Missing {
                from: place.number + 1,
                to: *to,
                newer: None,
                older: Some(place.clone()),
            });
        }
        let faults: Vec<ReportedFault> = walk
            .finish(first)
            .into_iter()
            .map(ReportedFault::of)
            .collect();
        Self {
            intact: faults.is_empty(),
            events,
            from,
            sha256: newest.as_ref().map(|(_, sha256)| sha256.clone()),
            to: newest.map(|(place, _)| place),
            faults,
        }
    }

    /// Reports an event beyond the server's later head: the server never wrote it.
    fn check_against(&mut self, head: &AuditHead) {
        let Some(newest) = self.to.clone().filter(|to| to.number >= head.number) else {
            return;
        };
        if newest.number == head.number && self.sha256 == Some(head.sha256.to_string()) {
            return;
        }
        let fault = ChainFault::Inserted { event: newest };
        if !self.faults.iter().any(|reported| reported.fault == fault) {
            self.faults.push(ReportedFault::of(fault));
        }
        self.intact = false;
    }

    fn show(&self, output: Output) -> CommandResult {
        if output.is_table() {
            output.text(&self.text())?;
        } else {
            output.value(self)?;
        }
        if self.intact {
            return Ok(());
        }
        Err(Failure::new(format_args!(
            "the audit log does not verify: {} found",
            match self.faults.len() {
                1 => "1 fault".to_owned(),
                count => format!("{count} faults"),
            }
        )))
    }

    fn text(&self) -> String {
        if !self.intact {
            let lines = self.faults.iter();
            return lines
                .map(|reported| printable(&reported.message) + "\n")
                .collect();
        }
        let number = |place: &Option<EventPosition>| place.as_ref().map_or(0, |place| place.number);
        let (from, to) = (number(&self.from), number(&self.to));
        let sha256 = self.sha256.as_deref().unwrap_or_default();
        format!("intact: events {from} to {to}\nhead: {to}:{sha256}\n")
    }
}

impl ReportedFault {
    fn of(fault: ChainFault) -> Self {
        let message = fault.to_string();
        Self { fault, message }
    }
}
