//! `countersign audit-log verify`: whether the log is the one that was written.

use std::{fmt::Display, path::PathBuf, str::FromStr};

use clap::Args;
use countersign_client::{AuditLogParams, Client};
use countersign_types::{
    audit::{AuditDocument, AuditHead},
    id::AuditLogId,
    page::{Listed, MAX_LIMIT},
};
use countersign_verify::audit_chain::{ChainFault, ChainWalk, KeptHead, Place};
use futures_util::{Stream, TryStreamExt, stream};
use serde::Serialize;

use super::chain_file;
use crate::{
    cli::api::{ApiOptions, block_on},
    failure::{Failure, Outcome},
    output::{Output, note, printable},
};

/// Check that no event was removed, edited, moved or inserted
#[derive(Args)]
pub(super) struct Verify {
    /// The oldest event to check, by its number or its id [default: the first]
    #[arg(long, value_name = "EVENT")]
    from: Option<End>,
    /// The newest event to check, by its number or its id [default: the newest]
    #[arg(long, value_name = "EVENT")]
    to: Option<End>,
    /// A head that was kept: it must be among the events that are checked; may be repeated
    #[arg(long, value_name = "[NUMBER:]SHA256", value_parser = parse_head)]
    head: Vec<KeptHead>,
    /// Check an export (JSON or JSON lines, `-` for standard input) instead of a server's log
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Where a range ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Number(u64),
    Id(AuditLogId),
}

impl FromStr for End {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("events are numbered from 1"),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text
                .parse()
                .map(Self::Id)
                .map_err(|_| "write an event's number, or its id `audit_log-...`"),
        }
    }
}

fn parse_head(text: &str) -> Result<KeptHead, String> {
    let (number, sha256) = match text.split_once(':') {
        Some((number, sha256)) => (Some(number), sha256),
        None => (None, text),
    };
    let number = number.map(str::parse).transpose();
    let number = number.map_err(|_| "write a head as `NUMBER:SHA256`, or the hash alone")?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a hash has 64 hexadecimal digits".to_owned());
    }
    let sha256 = sha256.to_ascii_lowercase();
    Ok(KeptHead { number, sha256 })
}

/// What the check came to.
#[derive(Serialize)]
struct Report {
    intact: bool,
    events: u64,
    /// The oldest event that was checked.
    from: Option<Place>,
    /// The newest, and its hash: a head to keep.
    to: Option<Place>,
    sha256: Option<String>,
    faults: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    fault: ChainFault,
    message: String,
}

impl Verify {
    pub(super) fn run(self, api: &ApiOptions, output: Output) -> Outcome {
        let report = match &self.file {
            Some(path) => {
                let events = chain_file::read(path)?;
                block_on(self.check(stream::iter(events.into_iter().map(Ok)), Vec::new()))?
            }
            None => {
                let client = api.client()?;
                block_on(self.check_server(&client))?
            }
        };
        report.tell(output)?;
        if self.file.is_some() && self.head.is_empty() {
            note("whether newer events were cut off, only a kept head can show: give `--head`");
        }
        Ok(())
    }

    async fn check_server(&self, client: &Client) -> Outcome<Report> {
        let log = client.audit_logs();
        let head = log.retrieve_head().await?.value;
        if let Some(End::Number(from)) = &self.from
            && *from > head.number
        {
            return Err(no_event(from));
        }
        // What is above the head now was written meanwhile; what the head counts must be there.
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
        let later = log.retrieve_head().await?.value;
        report.hold_against(&later);
        Ok(report)
    }

    /// Walks the events of the range, which come newest first.
    async fn check(
        &self,
        events: impl Stream<Item = Outcome<AuditDocument>>,
        mut heads: Vec<KeptHead>,
    ) -> Outcome<Report> {
        heads.extend(self.head.iter().cloned());
        let mut walk = ChainWalk::new(heads);
        let mut begun = self.to.is_none();
        let mut ended = false;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            begun = begun || self.to.as_ref().is_some_and(|to| to.admits_older(&event));
            if !begun {
                continue;
            }
            if matches!(&self.from, Some(End::Number(from)) if is_below(&event, *from)) {
                break;
            }
            walk.step(&event.0);
            ended = matches!(&self.from, Some(End::Id(id)) if event.id() == id.as_str());
            if ended {
                break;
            }
        }
        if let (Some(End::Id(id)), false) = (&self.from, ended) {
            return Err(no_event(id));
        }
        if let (Some(End::Id(id)), false) = (&self.to, begun) {
            return Err(no_event(id));
        }
        let first = match &self.from {
            None => 1,
            Some(End::Number(from)) => *from,
            Some(End::Id(_)) => walk.lowest().map_or(1, |place| place.number),
        };
        let report = Report::of(walk, first, self.to.as_ref());
        if report.events == 0 && report.intact {
            return Err(Failure::new("there are no events to check"));
        }
        Ok(report)
    }
}

/// A range whose ends are not there is not a range that is whole.
fn no_event(named: impl Display) -> Failure {
    Failure::new(format_args!("there is no event `{named}`"))
}

impl End {
    /// Whether a range with this newest end has begun at an event.
    fn admits_older(&self, event: &AuditDocument) -> bool {
        match self {
            Self::Number(to) => number(event).is_none_or(|number| number <= *to),
            Self::Id(id) => event.id() == id.as_str(),
        }
    }
}

fn number(event: &AuditDocument) -> Option<u64> {
    event.0.get("chain")?.get("number")?.as_u64()
}

/// An event without a number is below nothing: it has no place, and must be told of.
fn is_below(event: &AuditDocument, from: u64) -> bool {
    number(event).is_some_and(|number| number > 0 && number < from)
}

impl Report {
    fn of(mut walk: ChainWalk, first: u64, to: Option<&End>) -> Self {
        let (from, newest) = (walk.lowest().cloned(), walk.newest());
        let newest = newest.map(|(place, sha256)| (place.clone(), sha256.to_owned()));
        let events = walk.events();
        if let (Some(End::Number(to)), Some((place, _))) = (to, &newest)
            && place.number < *to
        {
            walk.fault(ChainFault::Missing {
                from: place.number + 1,
                to: *to,
                newer: None,
                older: Some(place.clone()),
            });
        }
        let faults: Vec<Told> = walk.finish(first).into_iter().map(Told::of).collect();
        Self {
            intact: faults.is_empty(),
            events,
            from,
            sha256: newest.as_ref().map(|(_, sha256)| sha256.clone()),
            to: newest.map(|(place, _)| place),
            faults,
        }
    }

    /// An event beyond the head that the server states afterwards was never written by it.
    fn hold_against(&mut self, head: &AuditHead) {
        let Some(newest) = self.to.clone().filter(|to| to.number >= head.number) else {
            return;
        };
        if newest.number == head.number && self.sha256 == Some(head.sha256.to_string()) {
            return;
        }
        let fault = ChainFault::Inserted { event: newest };
        if !self.faults.iter().any(|told| told.fault == fault) {
            self.faults.push(Told::of(fault));
        }
        self.intact = false;
    }

    fn tell(&self, output: Output) -> Outcome {
        if output.is_table() {
            output.text(&self.story())?;
        } else {
            output.value(self)?;
        }
        if self.intact {
            return Ok(());
        }
        Err(Failure::new(format_args!(
            "the audit log is not what was written: {} found",
            match self.faults.len() {
                1 => "1 fault".to_owned(),
                count => format!("{count} faults"),
            }
        )))
    }

    fn story(&self) -> String {
        if !self.intact {
            let lines = self.faults.iter();
            return lines.map(|told| printable(&told.message) + "\n").collect();
        }
        let number = |place: &Option<Place>| place.as_ref().map_or(0, |place| place.number);
        let (from, to) = (number(&self.from), number(&self.to));
        let sha256 = self.sha256.as_deref().unwrap_or_default();
        format!("intact: events {from} to {to}\nhead: {to}:{sha256}\n")
    }
}

impl Told {
    fn of(fault: ChainFault) -> Self {
        let message = fault.to_string();
        Self { fault, message }
    }
}
