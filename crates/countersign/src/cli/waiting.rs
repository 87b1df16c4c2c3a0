//! `--wait`: returns once every listed gateway enforces a change, or names those that do not.

use std::{pin::pin, time::Duration};

use clap::Args;
use countersign_client::{Client, Received};
use countersign_types::{
    bundle::{Gateway, GatewayState, Gateways},
    history::HistoryPoint,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep},
};

use super::{live::Live, parse::duration};
use crate::{
    clock,
    failure::{CommandResult, Doing, Failure},
    output::{note, relative, timestamp},
};

/// How often the gateways' state is read.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long to wait before naming the gateways that are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before the list of gateways is shown on a terminal: most changes are quicker.
const LIVE_AFTER: Duration = Duration::from_millis(300);
/// The exit code of a program that was interrupted: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

const HINT: &str = "run `countersign gateway status` to see when each was last in contact, and \
                    `countersign gateway forget ID --key-file GATEWAY_KEY` for one that will not come back";

const HINT_TO_UPGRADE: &str = "upgrade the gateways of an earlier version: they pass over denials, floors or revocation \
                    lists (`countersign gateway status` says what)";

/// Whether to wait for the gateways.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Return once every gateway enforces the change; otherwise fail and name those that do not
    #[arg(long)]
    wait: bool,
    /// How long to wait, such as `90s`
    #[arg(long, alias = "wait-seconds", value_name = "DURATION", default_value = "30s", requires = "wait", value_parser = duration)]
    wait_timeout: Duration,
}

impl Wait {
    /// Listens for Ctrl-C if the gateways are to be waited for. It does so from before the change is
    /// made: after that, Ctrl-C must not end the program without a word.
    pub(super) fn begin(&self) -> CommandResult<Waiting> {
        let interrupt = self.wait.then(|| signal(SignalKind::interrupt()));
        Ok(Waiting {
            limit: self.wait_timeout,
            interrupt: interrupt.transpose().doing("listen for Ctrl-C")?,
        })
    }
}

/// A change that the gateways may be waited for.
pub(super) struct Waiting {
    limit: Duration,
    /// None where nobody waits.
    interrupt: Option<Signal>,
}

impl Waiting {
    /// Makes the change.
    pub(super) async fn change<T>(&mut self, change: impl Future<Output = T>) -> CommandResult<T> {
        let Some(interrupt) = &mut self.interrupt else {
            return Ok(change.await);
        };
        tokio::select! {
            biased;
            done = change => Ok(done),
            _ = interrupt.recv() => Err(Failure::new(
                "interrupted before the server answered: whether the change was made is not known",
            )
            .hint("look at what is active before you repeat it")
            .with_exit(INTERRUPTED)),
        }
    }

    /// Waits for the gateways, if that was asked for.
    pub(super) async fn for_gateways(
        self,
        client: &Client,
        change: Option<HistoryPoint>,
    ) -> CommandResult {
        let Some(mut interrupt) = self.interrupt else {
            return Ok(());
        };
        let change = change.ok_or_else(|| {
            Failure::new("the change was made, but this server does not number its changes, so `--wait` cannot work")
                .hint("`--wait` needs a Countersign server")
        })?;
        let mut pending = Pending::default();
        let outcome = {
            let waiting = pin!(pending.end(client, change, self.limit));
            tokio::select! {
                done = waiting => Some(done),
                _ = interrupt.recv() => None,
            }
        };
        match outcome {
            Some(done) => done,
            None => Err(pending
                .failure("is not known to be enforced by")
                .with_exit(INTERRUPTED)),
        }
    }
}

/// The gateways that a change is not enforced by yet, as far as is known.
#[derive(Default)]
struct Pending {
    gateways: Vec<Received<Gateway>>,
    /// Whether the list was read at all.
    known: bool,
}

impl Pending {
    /// Returns when there are none, or fails after a time.
    async fn end(
        &mut self,
        client: &Client,
        change: HistoryPoint,
        limit: Duration,
    ) -> CommandResult {
        let countersign = client.countersign();
        let revision = change.revision;
        let begun = Instant::now();
        let mut named_last = String::new();
        let mut live = Live::is_possible().then(Live::default);
        // A gateway that connects meanwhile is waited for too: the list is read again each time.
        loop {
            let listed = countersign.gateways_and_whether_lost(change).await;
            let listed = listed.map_err(|error| {
                Failure::new(format_args!(
                    "the change was made, but who enforces it is not known: {error}"
                ))
            })?;
            let Gateways {
                revision: latest,
                gateways,
                lost,
            } = listed.value;
            // What is enforced under this number then would be another change.
            if latest < revision || lost == Some(true) {
                return Err(is_lost(revision, latest));
            }
            let count = gateways.len();
            if let Some(live) = live.as_mut().filter(|_| begun.elapsed() >= LIVE_AFTER) {
                live.show(&lines(&gateways, revision));
            }
            self.gateways = gateways;
            self.gateways.retain(|gateway| gateway.is_pending(revision));
            self.known = true;
            if self.gateways.is_empty() {
                drop(live);
                note(&format!(
                    "revision {revision} is in force; gateways: {count}"
                ));
                return Ok(());
            }
            if begun.elapsed() >= limit {
                return Err(self.failure("is not enforced yet by"));
            }
            if begun.elapsed() >= PATIENCE && live.is_none() {
                self.name_pending(&mut named_last);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Names the gateways that are waited for, unless they were named last.
    fn name_pending(&self, named_last: &mut String) {
        let key: Vec<_> = self.gateways.iter().map(|each| name(each)).collect();
        let key = key.join(", ");
        if *named_last != key {
            note(&format!("waiting for {}", self.named()));
            *named_last = key;
        }
    }

    fn named(&self) -> String {
        let named: Vec<_> = self.gateways.iter().map(|each| described(each)).collect();
        named.join(", ")
    }

    fn failure(&self, what: &str) -> Failure {
        let named = match (self.known, self.gateways.is_empty()) {
            (false, _) => "any gateway".to_owned(),
            (true, true) => "every gateway".to_owned(),
            (true, false) => self.named(),
        };
        let lacks = |each: &Received<Gateway>| !each.lacks.is_empty();
        let hint = if self.gateways.iter().any(lacks) {
            HINT_TO_UPGRADE
        } else {
            HINT
        };
        Failure::new(format_args!("the change was made, but {what}: {named}")).hint(hint)
    }
}

/// A line for each gateway, those that are waited for first.
fn lines(gateways: &[Received<Gateway>], revision: u64) -> Vec<String> {
    let (pending, done): (Vec<_>, Vec<_>) = gateways
        .iter()
        .partition(|gateway| gateway.is_pending(revision));
    let now = clock::unix_seconds();
    let waited = pending.into_iter().map(|gateway| {
        let seen = relative(gateway.seen_at, now);
        format!("waiting   {}), last seen {seen}", name(gateway))
    });
    let done = done.into_iter().map(|gateway| {
        let name = match gateway.name.as_str() {
            "" => gateway.id.as_str(),
            name => name,
        };
        format!("enforces  {name}")
    });
    waited.chain(done).collect()
}

/// The server no longer has the change: its database is another one, or an earlier state of it, and
/// may have given the number to another change since.
fn is_lost(revision: u64, latest: u64) -> Failure {
    let now = if latest < revision {
        format!("the server's database is back at revision {latest}")
    } else {
        format!("in the server's database, revision {revision} is another change")
    };
    Failure::new(format_args!(
        "the change was made as revision {revision}, and is lost: {now}, after a failover or a restored \
         backup"
    ))
    .hint("look at what is active, and make the change again")
}

/// Which gateway it is, and in which state: what is worth saying again when it changes.
fn name(gateway: &Gateway) -> String {
    let state = gateway
        .state
        .called(|state| match (state, gateway.durable) {
            (GatewayState::Missing, _) => "missing",
            (GatewayState::Live, _) if !gateway.lacks.is_empty() => "of an earlier version",
            (GatewayState::Live, false) => "cannot write its disk",
            (GatewayState::Live, true) => "behind",
        });
    if gateway.name.is_empty() {
        return format!("{} ({state}", gateway.id);
    }
    format!("{} ({}, {state}", gateway.name, gateway.id)
}

fn described(gateway: &Gateway) -> String {
    format!(
        "{}, last seen {})",
        name(gateway),
        timestamp(gateway.seen_at)
    )
}
