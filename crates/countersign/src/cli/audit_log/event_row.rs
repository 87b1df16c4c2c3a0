//! An event as tables show it: who did it and to what, by name, with the ids behind.

use countersign_types::audit::AuditLog as Event;
use serde_json::Value;

use crate::{
    cli::names::{NamedRow, Names},
    output::{Cell, moment, row, text_or_dash},
};

impl NamedRow for Event {
    const HEAD: &'static [&'static str] = &["at", "type", "actor", "about", "ids"];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let about = about(self, names);
        let shown = |texts: Vec<&str>| {
            let all = texts.join(", ");
            text_or_dash(Some(all.as_str()).filter(|all| !all.is_empty()))
        };
        row![
            moment(self.effective_at),
            self.event_type.clone(),
            actor(self, names),
            shown(
                about
                    .iter()
                    .filter_map(|thing| thing.name.as_deref())
                    .collect()
            ),
            shown(
                about
                    .iter()
                    .filter_map(|thing| thing.id.as_deref())
                    .collect()
            ),
        ]
    }
}

/// The key that did it, else what kind of actor it was.
fn actor(event: &Event, names: &Names) -> String {
    let actor = event.actor.as_ref();
    let key = actor.and_then(|actor| actor.api_key.as_ref()?.id.as_ref());
    match key {
        Some(key) => names.key(key).to_owned(),
        None => text_or_dash(actor.and_then(|actor| actor.kind.as_deref())),
    }
}

/// What an event is about.
struct Thing {
    id: Option<String>,
    name: Option<String>,
}

impl Thing {
    /// Its name at the time, else the one that it has now.
    fn new(id: Option<&str>, name: Option<&str>, names: &Names) -> Self {
        let now = || id.and_then(|id| names.of_any(id));
        Self {
            id: id.map(str::to_owned),
            name: name.or_else(now).map(str::to_owned),
        }
    }
}

/// The first text with this key within a value's objects.
fn inner(value: &Value, key: &str) -> Option<String> {
    let properties = value.as_object()?;
    match properties.get(key).and_then(Value::as_str) {
        Some(text) => Some(text.to_owned()),
        None => properties.values().find_map(|each| inner(each, key)),
    }
}

/// The things in an event's details: the thing itself, or the certificates that it lists; and its
/// project.
fn about(event: &Event, names: &Names) -> Vec<Thing> {
    let Some(details) = event.details.get(&event.event_type) else {
        return Vec::new();
    };
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let thing = |value: &Value| {
        // Of a change of the organization, the name of what changed.
        let changed = || inner(value.get("changes_requested")?, "name");
        let (id, name) = (text(value, "id"), text(value, "name").or_else(changed));
        Thing::new(id.as_deref(), name.as_deref(), names)
    };
    let certificates = details.get("certificates").and_then(Value::as_array);
    let mut things: Vec<Thing> = match certificates {
        Some(list) => list.iter().map(thing).collect(),
        None => vec![thing(details)],
    };
    if let Some(project) = &event.project {
        let id = project.id.as_ref().map(AsRef::as_ref);
        let project = Thing::new(id, project.name.as_deref(), names);
        if !things.iter().any(|thing| thing.id == project.id) {
            things.push(project);
        }
    }
    things.retain(|thing| thing.id.is_some());
    things
}
