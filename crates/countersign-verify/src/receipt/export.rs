//! An export of an organization's audit log, read once for all receipts.

use std::collections::BTreeMap;

use countersign_types::{UnixSeconds, audit::AuditCommit};
use serde_json::{Map, Value};

use super::history::{Change, Histories, State, Thing};
use crate::audit_chain::{ChainFault, ChainWalk, KeptHead};

/// An export of an organization's audit log.
#[derive(Debug)]
pub struct AuditExport {
    pub(super) faults: Vec<ChainFault>,
    pub(super) events: BTreeMap<u64, Event>,
    pub(super) histories: Histories,
}

/// What is needed of an event itself.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) sha256: String,
    pub(super) at: UnixSeconds,
    pub(super) commit: Option<AuditCommit>,
}

impl AuditExport {
    /// Reads events, which come newest first as the API shows them. Each head must be among them.
    pub fn read<'e>(
        events: impl IntoIterator<Item = &'e Map<String, Value>>,
        heads: Vec<KeptHead>,
    ) -> Self {
        let mut walk = ChainWalk::new(heads);
        let mut placed = BTreeMap::new();
        for event in events {
            walk.step(event);
            if let Some(number) = number(event) {
                placed.entry(number).or_insert(event);
            }
        }
        let first = walk.lowest().map_or(1, |place| place.number);
        let mut export = Self {
            faults: walk.finish(first),
            events: BTreeMap::new(),
            histories: Histories::default(),
        };
        for (number, event) in placed {
            export.take(number, event);
        }
        export
    }

    /// The number of the first event. What was before it is not known.
    pub(super) fn first(&self) -> u64 {
        self.events.keys().next().copied().unwrap_or(u64::MAX)
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.events.keys().next_back().copied().unwrap_or(0)
    }

    fn take(&mut self, number: u64, event: &Map<String, Value>) {
        let at = event.get("effective_at").and_then(Value::as_u64);
        let at = at.unwrap_or_default();
        let sha256 = event.get("chain").and_then(|chain| text(chain, "sha256"));
        let commit = event.get("commit").cloned();
        self.events.insert(
            number,
            Event {
                sha256: sha256.unwrap_or_default(),
                at,
                commit: commit.and_then(|commit| serde_json::from_value(commit).ok()),
            },
        );
        for (thing, state) in changes(event) {
            self.histories.add(thing, Change { number, at, state });
        }
    }
}

fn number(event: &Map<String, Value>) -> Option<u64> {
    event.get("chain")?.get("number")?.as_u64()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// What an event says of the things that matter here.
fn changes(event: &Map<String, Value>) -> Vec<(Thing, State)> {
    let Some(kind) = event.get("type").and_then(Value::as_str) else {
        return Vec::new();
    };
    let Some(details) = event.get(kind) else {
        return Vec::new();
    };
    let project = event.get("project").and_then(|project| text(project, "id"));
    let id = || text(details, "id");
    let one = |thing: fn(String) -> Thing, state: State| {
        let changed = id().map(|id| (thing(id), state));
        changed.into_iter().collect()
    };
    match kind {
        "certificates.activated" | "certificates.deactivated" => toggled(kind, details, project),
        "project.created" => one(Thing::Project, State::Created(None)),
        "project.archived" => one(Thing::Project, State::Archived),
        "api_key.created" => one(Thing::ApiKey, State::Created(project)),
        "api_key.deleted" => one(Thing::ApiKey, State::Deleted),
        "service_account.created" => one(Thing::ServiceAccount, State::Created(project)),
        "service_account.deleted" => one(Thing::ServiceAccount, State::Deleted),
        "organization.updated" => receipt_key(details).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn toggled(kind: &str, details: &Value, project: Option<String>) -> Vec<(Thing, State)> {
    let enforcement = details.get("enforcement").and_then(Value::as_str);
    let state = match (kind, enforcement) {
        ("certificates.deactivated", _) => State::Inactive,
        (_, None | Some("enforce")) => State::Enforced,
        // What a later version may know besides is not enforced.
        _ => State::Reported,
    };
    let certificates = details.get("certificates").and_then(Value::as_array);
    let ids = certificates.into_iter().flatten();
    let ids = ids.filter_map(|certificate| text(certificate, "id"));
    let anchor = |certificate| Thing::Anchor {
        project: project.clone(),
        certificate,
    };
    ids.map(|id| (anchor(id), state.clone())).collect()
}

fn receipt_key(details: &Value) -> Option<(Thing, State)> {
    let changes = details.get("changes_requested")?;
    if let Some(key) = changes.get("receipt_key_withdrawn") {
        return Some((Thing::ReceiptKey(text(key, "id")?), State::Withdrawn));
    }
    let key = changes.get("receipt_key_registered")?;
    let registered = State::Registered {
        public_key: serde_json::from_value(key.get("public_key")?.clone()).ok()?,
        gateway: text(key, "gateway_id")?,
        organization: text(details, "id")?,
    };
    Some((Thing::ReceiptKey(text(key, "id")?), registered))
}
