//! Reads an exported audit log, as `audit-log list` or the API writes it.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use countersign_types::audit::AuditDocument;
use serde_json::{Deserializer, Map, Value};

use crate::failure::{CommandResult, Doing, Failure};

/// The events of an export, newest first: one per line, in an array, or in pages of the API. An
/// export that begins with its oldest event is reversed.
pub(in crate::cli) fn read(path: &Path) -> CommandResult<Vec<AuditDocument>> {
    let shown = path.display();
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).doing(format_args!("open `{shown}`"))?)
    };
    let mut events = Vec::new();
    for value in Deserializer::from_reader(BufReader::new(reader)).into_iter::<Value>() {
        let value = value.doing(format_args!("read `{shown}` as JSON"))?;
        add(value, &mut events).ok_or_else(|| {
            Failure::usage(format_args!(
                "`{shown}` holds something that is not an audit event"
            ))
            .hint("export the log with `countersign audit-log list -o jsonl`")
        })?;
    }
    if number(events.first()) < number(events.last()) {
        events.reverse();
    }
    Ok(events)
}

fn add(value: Value, events: &mut Vec<AuditDocument>) -> Option<()> {
    match value {
        Value::Array(entries) => entries
            .into_iter()
            .try_for_each(|each| add_one(each, events)),
        Value::Object(mut page) if page.get("object").is_some_and(|word| word == "list") => {
            let Some(Value::Array(entries)) = page.remove("data") else {
                return None;
            };
            entries
                .into_iter()
                .try_for_each(|each| add_one(each, events))
        }
        other => add_one(other, events),
    }
}

fn add_one(value: Value, events: &mut Vec<AuditDocument>) -> Option<()> {
    let Value::Object(event) = value else {
        return None;
    };
    events.push(AuditDocument(event));
    Some(())
}

fn number(event: Option<&AuditDocument>) -> Option<u64> {
    let event: &Map<String, Value> = &event?.0;
    event.get("chain")?.get("number")?.as_u64()
}
