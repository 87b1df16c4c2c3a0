//! The audit log's chain: each event names the SHA-256 of the one before it in its organization.
//! How an event is hashed, and whether events that somebody shows are the whole chain. The form is
//! described in `docs/audit.md`, so that anyone can check it without this code.

mod fault;
mod walk;

use std::fmt::Write as _;

use countersign_types::digest::Sha256;
use serde_json::{Map, Value};

pub use fault::{ChainFault, EventPosition};
pub use walk::{ChainWalk, KeptHead};

/// What the first event of an organization names as the one before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// SHA-256 of an event: of its JSON as the API shows it, without
/// `chain.sha256`, in the canonical form of RFC 8785.
#[must_use]
pub fn event_sha256(event: &Map<String, Value>) -> Sha256 {
    let mut event = event.clone();
    if let Some(chain) = event.get_mut("chain").and_then(Value::as_object_mut) {
        chain.remove("sha256");
    }
    let mut text = String::new();
    write_object(&event, &mut text);
    Sha256::of(text)
}

/// RFC 8785, section 3.2, for what events hold: objects, arrays, texts, whole numbers. (`serde_json`
/// writes texts as section 3.2.2.2 wants.)
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(entries) => {
            out.push('[');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(entry, out);
            }
            out.push(']');
        }
        other => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{other}");
        }
    }
}

/// Keys in the order of their UTF-16 code units (section 3.2.3).
fn write_object(object: &Map<String, Value>, out: &mut String) {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write!(out, "{}:", Value::String(key.clone()));
        write_canonical(value, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests;
