//! Distinguished names as people read them.

use std::fmt::Write as _;

use x509_parser::{
    objects::{oid_registry, oid2abbrev},
    x509::{AttributeTypeAndValue, X509Name},
};

use super::algorithm::oid_name;

/// The most characters of a name that are shown.
const MAX_SHOWN: usize = 256;

/// A name in the manner of RFC 4514: the most specific attribute first, what could be mistaken for
/// structure escaped, control characters in hexadecimal. `(no name)` when it is empty.
pub(super) fn readable(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    let text = parts.into_iter().rev().collect::<Vec<_>>().join(",");
    if text.is_empty() {
        return "(no name)".to_owned();
    }
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let abbreviated = oid2abbrev(oid, oid_registry()).map(str::to_owned);
    let kind = abbreviated.unwrap_or_else(|_| oid_name(oid));
    let value = match attribute.as_str() {
        Ok(text) => escaped(text),
        Err(_) => format!("#{}", data_encoding::HEXLOWER.encode(attribute.as_slice())),
    };
    format!("{kind}={value}")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '`' => {
                out.push('\\');
                out.push(c);
            }
            '#' | ' ' if at == 0 => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || is_invisible(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{:02X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that take no room or turn the direction of writing, with which one name can be made
/// to look like another.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}
