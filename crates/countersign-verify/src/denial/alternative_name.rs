//! Subject alternative names in the one form in which they are compared: what is one name in two spellings
//! must not escape a denial.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use countersign_types::denial::{SubjectAltName, SubjectAltNameType};
use x509_parser::asn1_rs::Oid;

use super::{invalid_match::InvalidMatch, uri};
use crate::{
    der::{self, Reader},
    policy::other_name_text,
};

/// `[0]`, `[1]`, `[2]`, `[6]` and `[7]` of a `GeneralName` (RFC 5280 section 4.2.1.6), in the forms that DER
/// gives them.
const OTHER_NAME: u8 = 0xa0;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// The extension is not a list of names to its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A name of a certificate.
#[derive(Clone, Copy)]
pub(super) struct PresentedName<'a> {
    pub(super) kind: SubjectAltNameType,
    contents: &'a [u8],
    /// Of an `otherName`, the contents of its object identifier.
    oid: &'a [u8],
}

/// The names of a certificate, of the types that can be denied: the value of the extension is given.
pub(super) fn presented<'a>(
    extension: Option<&'a [u8]>,
) -> impl Iterator<Item = Result<PresentedName<'a>, Unreadable>> {
    let list = extension.map(|value| der::only(value, der::SEQUENCE).ok_or(Unreadable));
    let (mut names, mut broken) = match list {
        None => (Reader::new(&[]), false),
        Some(Ok(list)) => (Reader::new(list), false),
        Some(Err(Unreadable)) => (Reader::new(&[]), true),
    };
    std::iter::from_fn(move || {
        loop {
            if broken {
                broken = false;
                names = Reader::new(&[]);
                return Some(Err(Unreadable));
            }
            if names.at_end() {
                return None;
            }
            match names.any().map(one) {
                Some(Ok(Some(name))) => return Some(Ok(name)),
                Some(Ok(None)) => {}
                None | Some(Err(Unreadable)) => broken = true,
            }
        }
    })
}

/// A name of one of the types that can be denied; `None` for another.
fn one((tag, contents): (u8, &[u8])) -> Result<Option<PresentedName<'_>>, Unreadable> {
    let name = |kind, contents, oid| {
        Some(PresentedName {
            kind,
            contents,
            oid,
        })
    };
    Ok(match tag {
        DNS => name(SubjectAltNameType::Dns, contents, &[]),
        EMAIL => name(SubjectAltNameType::Email, contents, &[]),
        URI => name(SubjectAltNameType::Uri, contents, &[]),
        IP_ADDRESS => name(SubjectAltNameType::IpAddress, contents, &[]),
        OTHER_NAME => {
            let mut parts = Reader::new(contents);
            let oid = parts.take(der::OBJECT_IDENTIFIER).ok_or(Unreadable)?;
            name(SubjectAltNameType::Custom, parts.rest(), oid)
        }
        _ => None,
    })
}

impl PresentedName<'_> {
    /// Its normal form; `None` for what is no text or address, and so is no name that a denial can have.
    pub(super) fn normal(&self) -> Option<SubjectAltName> {
        let text = || String::from_utf8_lossy(self.contents);
        let value = match self.kind {
            SubjectAltNameType::Dns => dns(&text()),
            SubjectAltNameType::Email => email(&text()),
            SubjectAltNameType::Uri => uri::normal(&text()),
            SubjectAltNameType::IpAddress => address(self.contents)?,
            SubjectAltNameType::Custom => custom(&other_name_text(self.contents)?),
        };
        Some(SubjectAltName {
            kind: self.kind,
            value,
            oid: self.oid(),
        })
    }

    /// Of an `otherName`, its object identifier.
    pub(super) fn oid(&self) -> Option<String> {
        let custom = self.kind == SubjectAltNameType::Custom;
        custom.then(|| Oid::new(self.oid.into()).to_id_string())
    }
}

/// The normal form of a name that somebody wrote.
pub(super) fn written(name: &SubjectAltName) -> Result<SubjectAltName, InvalidMatch> {
    let value = name.value.trim();
    let invalid = |message: String| InvalidMatch {
        property: "subject_alt_name.value",
        message,
    };
    if value.is_empty() || value.chars().any(char::is_control) {
        let message = "A name has at least one character, and no control characters.";
        return Err(invalid(message.to_owned()));
    }
    let custom = name.kind == SubjectAltNameType::Custom;
    if !custom && !value.is_ascii() {
        let message = "Certificates have only ASCII characters here: write a host name as `xn--…`, and other \
                       characters of a URI with `%`.";
        return Err(invalid(message.to_owned()));
    }
    let normal = match name.kind {
        SubjectAltNameType::Dns => check_dns(value).map_err(invalid)?,
        SubjectAltNameType::Email => check_email(value).map_err(invalid)?,
        SubjectAltNameType::Uri => check_uri(value).map_err(invalid)?,
        SubjectAltNameType::IpAddress => check_address(value).map_err(invalid)?,
        SubjectAltNameType::Custom => custom_text(value),
    };
    Ok(SubjectAltName {
        kind: name.kind,
        value: normal,
        oid: check_oid(custom, name.oid.as_deref())?,
    })
}

fn check_dns(value: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    if value.contains("://") {
        return Err(format!(
            "`{value}` is a URI: its type is `URI`, and a host name has no scheme."
        ));
    }
    let normal = dns(value);
    if normal.is_empty() || !normal.chars().all(known) {
        return Err(format!(
            "`{value}` is not a host name. Nothing in it is a pattern: write the name as the certificate has it."
        ));
    }
    Ok(normal)
}

fn check_email(value: &str) -> Result<String, String> {
    let at = value.rsplit_once('@');
    if at.is_none_or(|(local, host)| local.is_empty() || host.is_empty()) {
        return Err(format!("`{value}` is not a mail address."));
    }
    Ok(email(value))
}

fn check_uri(value: &str) -> Result<String, String> {
    if uri::scheme(value).is_none() || value.contains(char::is_whitespace) {
        return Err(format!(
            "`{value}` is not a URI: it begins with a scheme, as `spiffe://example.org/worker` does."
        ));
    }
    Ok(uri::normal(value))
}

fn check_address(value: &str) -> Result<String, String> {
    let address: Result<IpAddr, _> = value.parse();
    address
        .map(|address| address.to_canonical().to_string())
        .map_err(|_| {
            format!("`{value}` is not one IP address. A denial has one, not a network: deny each.")
        })
}

fn check_oid(custom: bool, oid: Option<&str>) -> Result<Option<String>, InvalidMatch> {
    let invalid = |message: &str| {
        Err(InvalidMatch {
            property: "subject_alt_name.oid",
            message: message.to_owned(),
        })
    };
    match oid {
        None if custom => invalid(
            "A name of type `CUSTOM` needs its object identifier: `1.3.6.1.4.1.311.20.2.3` for a user \
             principal name.",
        ),
        None => Ok(None),
        Some(_) if !custom => invalid("Only a name of type `CUSTOM` has an object identifier."),
        Some(oid) => {
            let arcs: Option<Vec<u64>> = oid.split('.').map(|arc| arc.parse().ok()).collect();
            let known = arcs.as_deref().and_then(|arcs| Oid::from(arcs).ok());
            match known {
                Some(known) => Ok(Some(known.to_id_string())),
                None => invalid("An object identifier is written in decimals with dots."),
            }
        }
    }
}

/// Host names compare without case (RFC 4343), and with or without the root's dot.
fn dns(value: &str) -> String {
    value.trim().trim_end_matches('.').to_ascii_lowercase()
}

/// Hosts compare without case. Local parts would not (RFC 5280 section 7.5), but hardly anybody tells two people
/// apart by it, and a denial that is missed for a capital letter would let somebody in.
fn email(value: &str) -> String {
    let (local, host) = value.trim().rsplit_once('@').unwrap_or((value.trim(), ""));
    let quoted = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let local = quoted.map_or_else(|| local.to_owned(), unescaped);
    format!("{}@{}", local.to_ascii_lowercase(), dns(host))
}

/// The text of a quoted string (RFC 5321 section 4.1.2).
fn unescaped(quoted: &str) -> String {
    let mut text = String::new();
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        text.push(if c == '\\' {
            rest.next().unwrap_or(c)
        } else {
            c
        });
    }
    text
}

/// An address as it is written; one of version 4 that is mapped into version 6 is itself (RFC 4291 section
/// 2.5.5.2).
fn address(octets: &[u8]) -> Option<String> {
    let address: IpAddr = match *octets {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
    };
    Some(address.to_canonical().to_string())
}

/// User principal names and their like compare without case where they are used.
fn custom(text: &str) -> String {
    custom_text(text.trim())
}

fn custom_text(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(kind: SubjectAltNameType, value: &str) -> Result<String, String> {
        let name = SubjectAltName {
            kind,
            value: value.to_owned(),
            oid: (kind == SubjectAltNameType::Custom).then(|| "1.2.3".to_owned()),
        };
        let written = written(&name);
        written
            .map(|name| name.value)
            .map_err(|invalid| invalid.message)
    }

    #[test]
    fn spellings_of_one_name_are_one() {
        use SubjectAltNameType::{Custom, Dns, Email, IpAddress, Uri};
        for (kind, spellings, expected) in [
            (
                Dns,
                ["Worker.Example.COM.", "worker.example.com"],
                "worker.example.com",
            ),
            (Dns, ["*.Example.com", " *.example.com"], "*.example.com"),
            (
                Email,
                ["\"Alice\"@Example.com.", "alice@EXAMPLE.com"],
                "alice@example.com",
            ),
            (IpAddress, ["::ffff:192.0.2.1", "192.0.2.1"], "192.0.2.1"),
            (IpAddress, ["2001:DB8:0:0::1", "2001:db8::1"], "2001:db8::1"),
            (
                Uri,
                [
                    "SPIFFE://Example.ORG/a/./b/../%63",
                    "spiffe://example.org/a/c",
                ],
                "spiffe://example.org/a/c",
            ),
            (
                Custom,
                ["Alice@EXAMPLE.com", "alice@example.COM"],
                "alice@example.com",
            ),
        ] {
            for spelling in spellings {
                assert_eq!(
                    normal(kind, spelling).as_deref(),
                    Ok(expected),
                    "{spelling}"
                );
            }
        }
    }

    #[test]
    fn what_can_be_no_name_is_refused_with_what_to_do() {
        use SubjectAltNameType::{Dns, Email, IpAddress, Uri};
        for (kind, value, says) in [
            (Dns, "", "at least one character"),
            (Dns, "a\0b", "no control characters"),
            (
                Dns,
                "worker.(a|b).example.com",
                "Nothing in it is a pattern",
            ),
            (Dns, "https://example.com", "type is `URI`"),
            (Dns, "bücher.example", "xn--"),
            (Email, "alice", "not a mail address"),
            (IpAddress, "192.0.2.0/24", "not a network"),
            (IpAddress, "fe80::1%eth0", "not one IP address"),
            (Uri, "worker", "scheme"),
        ] {
            let error = normal(kind, value).unwrap_err();
            assert!(error.contains(says), "{value}: {error}");
        }
    }
}
