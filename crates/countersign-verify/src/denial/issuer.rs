//! The names of issuers, so that one is found however it is written: as RFC 4514 does, as OpenSSL does, from
//! the first part to the last or the other way round.

use std::fmt::Write as _;

use countersign_types::digest::Sha256;
use x509_parser::asn1_rs::Oid;

use crate::{
    der::{self, Reader},
    policy::attribute_text,
};

/// The attributes that names are written with (RFC 4514 section 3, and OpenSSL's further ones).
const ATTRIBUTES: [(&str, &str); 25] = [
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("TITLE", "2.5.4.12"),
    ("POSTALCODE", "2.5.4.17"),
    ("NAME", "2.5.4.41"),
    ("GN", "2.5.4.42"),
    ("INITIALS", "2.5.4.43"),
    ("DNQUALIFIER", "2.5.4.46"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAIL", "1.2.840.113549.1.9.1"),
    // Second names of the same.
    ("S", "2.5.4.8"),
    ("SURNAME", "2.5.4.4"),
    ("GIVENNAME", "2.5.4.42"),
    ("STREETADDRESS", "2.5.4.9"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
];

/// A name, recognized by its attributes: their order, case and spaces do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IssuerName(Sha256);

impl IssuerName {
    /// Of the contents of a certificate's name.
    pub(crate) fn presented(contents: &[u8]) -> Option<Self> {
        Some(Self::of(&attributes(contents)?))
    }

    /// Of a name that somebody wrote.
    pub(crate) fn written(name: &str) -> Result<Self, String> {
        let attributes = parse(name)?;
        if attributes.is_empty() {
            return Err(
                "The name of an issuer has at least one part, as `CN=Issuing CA`.".to_owned(),
            );
        }
        Ok(Self::of(&attributes))
    }

    pub(super) const fn sha256(&self) -> &Sha256 {
        &self.0
    }

    fn of(attributes: &[(String, String)]) -> Self {
        let mut parts: Vec<_> = attributes
            .iter()
            .map(|(oid, text)| {
                let words: Vec<_> = text.split_whitespace().collect();
                // A NUL is in no part: it would not be text.
                format!("{oid}={}\0", words.join(" ").to_lowercase())
            })
            .collect();
        parts.sort();
        Self(Sha256::of(parts.concat()))
    }
}

/// The attributes of a name's contents, in their order: object identifier and text. What is no text is written
/// in hexadecimal.
fn attributes(contents: &[u8]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut sets = Reader::new(contents);
    while !sets.at_end() {
        let mut entries = Reader::new(sets.take(der::SET)?);
        while !entries.at_end() {
            let mut entry = Reader::new(entries.take(der::SEQUENCE)?);
            let oid = Oid::new(entry.take(der::OBJECT_IDENTIFIER)?.into());
            let (tag, value) = entry.any()?;
            let text = attribute_text(tag, value).filter(|text| !text.contains('\0'));
            let text = text.unwrap_or_else(|| in_hexadecimal(tag, value));
            found.push((oid.to_id_string(), text));
        }
    }
    Some(found)
}

fn in_hexadecimal(tag: u8, value: &[u8]) -> String {
    format!(
        "#{tag:02x}{:02x}{}",
        value.len(),
        data_encoding::HEXLOWER.encode(value)
    )
}

/// A certificate's name as RFC 4514 writes it, the most specific part first, whole.
pub(super) fn shown(contents: &[u8]) -> Option<String> {
    let mut parts: Vec<String> = attributes(contents)?
        .iter()
        .map(|(oid, text)| {
            let known = ATTRIBUTES.iter().find(|(_, known)| known == oid);
            let kind = known.map_or(oid.as_str(), |(name, _)| *name);
            format!("{kind}={}", escaped(text))
        })
        .collect();
    parts.reverse();
    Some(parts.join(","))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    let end = text.len().saturating_sub(1);
    for (at, c) in text.char_indices() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', c]),
            ' ' if at == 0 || at == end => out.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// The attributes of a name as RFC 4514 writes it.
fn parse(name: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = name.trim();
    while !rest.is_empty() {
        let Some((kind, after)) = rest.split_once('=') else {
            return Err(format!(
                "`{rest}` in the issuer's name has no `=`. Write it as `CN=Issuing CA,O=Example`, with `\\` before a \
                 comma in a value."
            ));
        };
        let (value, after) = value(after)?;
        found.push((object_identifier(kind.trim())?, value));
        rest = after.trim_start();
    }
    Ok(found)
}

fn object_identifier(kind: &str) -> Result<String, String> {
    let known = ATTRIBUTES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(kind));
    if let Some((_, oid)) = known {
        return Ok((*oid).to_owned());
    }
    let numbers = kind.get(..4).filter(|oid| oid.eq_ignore_ascii_case("oid."));
    let numbers = numbers.map_or(kind, |_| kind.get(4..).unwrap_or_default());
    let arcs: Option<Vec<u64>> = numbers.split('.').map(|arc| arc.parse().ok()).collect();
    arcs.filter(|arcs| arcs.len() > 1)
        .and_then(|arcs| Oid::from(&arcs).ok())
        .map(|oid| oid.to_id_string())
        .ok_or_else(|| {
            format!(
                "`{kind}` in the issuer's name is no attribute that is known. Write its object identifier, as \
                 `2.5.4.3=Issuing CA`."
            )
        })
}

/// The value at the beginning of a text, up to what separates parts, and what follows that.
fn value(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    let mut bytes = Vec::new();
    let mut quoted = false;
    // How much of the value is there for good: spaces at its end are not.
    let mut kept = 0;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                let after = text.get(at + 1..).unwrap_or_default();
                bytes.truncate(kept);
                return decoded(bytes).map(|value| (value, after));
            }
            '\\' => {
                let two = text.get(at + 1..at + 3);
                if let Some(byte) = two.and_then(|two| {
                    data_encoding::HEXLOWER_PERMISSIVE
                        .decode(two.as_bytes())
                        .ok()
                }) {
                    bytes.extend(byte);
                    rest.nth(1);
                } else if let Some((_, c)) = rest.next() {
                    bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                }
                kept = bytes.len();
                continue;
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
        if quoted || !c.is_whitespace() {
            kept = bytes.len();
        }
    }
    bytes.truncate(kept);
    decoded(bytes).map(|value| (value, ""))
}

fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes)
        .map_err(|_| "The issuer's name is not UTF-8 once `\\` is taken out of it.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Sha256 {
        IssuerName::written(name).unwrap().0
    }

    #[test]
    fn spellings_of_one_issuer_are_one() {
        let expected = of("CN=Issuing CA,O=Example\\, Inc.,C=DE");
        for spelling in [
            "cn=issuing  ca, o=\"Example, Inc.\" , C = de",
            "C = DE, O = Example\\2C Inc., CN = Issuing CA",
            "2.5.4.3=Issuing CA+OID.2.5.4.10=Example\\, Inc.;C=DE",
        ] {
            assert_eq!(of(spelling), expected, "{spelling}");
        }
        for other in [
            "CN=Issuing CA",
            "CN=IssuingCA,O=Example\\, Inc.,C=DE",
            "O=Issuing CA,CN=Example\\, Inc.,C=DE",
        ] {
            assert_ne!(of(other), expected, "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_to_do() {
        for (name, says) in [
            ("", "at least one part"),
            ("Issuing CA", "has no `=`"),
            ("CN=a,b", "`b` in the issuer's name has no `=`"),
            ("XY=a", "object identifier"),
            ("CN=\\ff", "UTF-8"),
        ] {
            let error = IssuerName::written(name).unwrap_err();
            assert!(error.contains(says), "{name}: {error}");
        }
    }
}
