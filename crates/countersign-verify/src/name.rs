//! Distinguished names as people read them.

use std::fmt::{self, Write as _};

use x509_parser::{
    asn1_rs::{FromDer as _, Tag},
    objects::{oid_registry, oid2abbrev},
    x509::{AttributeTypeAndValue, X509Name},
};

use crate::{der, oid::name_or_numbers};

/// The most characters of a name that are shown.
const MAX_SHOWN: usize = 256;
/// The most bytes of a name that are kept to be shown later. Honest ones have one or two hundred,
/// and a longer one takes the longer to show.
const MAX_KEPT: usize = 256;

/// The name of a presented certificate, to be shown if somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateName {
    /// The contents of its DER, or nothing of one that is too long to keep.
    contents: Box<[u8]>,
    length: usize,
}

impl CertificateName {
    pub(crate) fn new(contents: &[u8]) -> Self {
        let kept = (contents.len() <= MAX_KEPT).then_some(contents);
        Self {
            contents: kept.unwrap_or_default().into(),
            length: contents.len(),
        }
    }

    /// Whether another name shows the same text, and with which string types the two write it:
    /// names are compared byte for byte, so that those are two names.
    pub(crate) fn same_text(&self, other: &Self) -> Option<[String; 2]> {
        let [mine, theirs] = [self, other].map(|name| parsed(&name.contents, attributes));
        let (mine, theirs) = (mine?, theirs?);
        let texts = |attributes: &[Attribute]| -> Vec<_> {
            let texts = attributes.iter();
            texts
                .map(|one| (one.kind.clone(), one.text.clone()))
                .collect()
        };
        let same = !mine.is_empty() && self != other && texts(&mine) == texts(&theirs);
        same.then(|| [mine, theirs].map(|attributes| string_types(&attributes)))
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contents.len() < self.length {
            return write!(f, "(a name of {} bytes)", self.length);
        }
        let shown = parsed(&self.contents, readable);
        f.write_str(shown.as_deref().unwrap_or("(unreadable name)"))
    }
}

/// Reads the contents of a name, given without its header.
fn parsed<T>(contents: &[u8], read: impl Fn(&X509Name<'_>) -> T) -> Option<T> {
    let whole = der::wrapped(der::SEQUENCE, contents);
    let (_, name) = X509Name::from_der(&whole).ok()?;
    Some(read(&name))
}

/// One attribute of a name: what it is of, its text, and how that is written.
struct Attribute {
    kind: String,
    text: String,
    string_type: Tag,
}

fn attributes(name: &X509Name<'_>) -> Vec<Attribute> {
    let attributes = name.iter_attributes().map(|attribute| Attribute {
        kind: attribute.attr_type().to_id_string(),
        text: value(attribute),
        string_type: attribute.attr_value().tag(),
    });
    attributes.collect()
}

/// The string types of a name's attributes, each once, in the order of X.680.
fn string_types(attributes: &[Attribute]) -> String {
    let used = |tag: &Tag| attributes.iter().any(|one| one.string_type == *tag);
    let known = [
        (Tag::Utf8String, "UTF8String"),
        (Tag::NumericString, "NumericString"),
        (Tag::PrintableString, "PrintableString"),
        (Tag::TeletexString, "TeletexString"),
        (Tag::Ia5String, "IA5String"),
        (Tag::UniversalString, "UniversalString"),
        (Tag::BmpString, "BMPString"),
    ];
    let names: Vec<_> = known
        .into_iter()
        .filter(|(tag, _)| used(tag))
        .map(|(_, name)| name)
        .collect();
    names.join(" and ")
}

/// A name in the manner of RFC 4514: the most specific attribute first, what could be mistaken for
/// structure escaped, control characters in hexadecimal. `(no name)` when it is empty.
pub(crate) fn readable(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(shown).collect::<Vec<_>>().join("+"))
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

fn shown(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let abbreviated = oid2abbrev(oid, oid_registry()).map(str::to_owned);
    let kind = abbreviated.unwrap_or_else(|_| name_or_numbers(oid.as_bytes()).into_owned());
    format!("{kind}={}", value(attribute))
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    match attribute.as_str() {
        Ok(text) => escaped(text),
        Err(_) => format!("#{}", data_encoding::HEXLOWER.encode(attribute.as_slice())),
    }
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
