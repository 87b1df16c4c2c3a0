//! What a token keeps of the leaf that it was exchanged for, so that a denial of the leaf ends it: a short digest
//! of each thing that the leaf can be denied by.

use std::{fmt, str::FromStr};

use countersign_types::{denial::SubjectAltName, digest::Sha256};

use super::{
    alternative_name::{self, Unreadable},
    issuer::IssuerName,
    key, serial,
};
use crate::x509::Certificate;

/// The most names of a leaf that are kept apart: as many as policies see.
const MAX_NAMES: usize = 100;
/// How many hexadecimal digits a mark has.
const DIGITS: usize = 16;

/// One thing that a leaf can be denied by. Whoever finds another with the same digest of 64 bits has a leaf that is
/// refused for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Of a leaf whose names cannot be kept apart: any denial of a name refuses it.
    pub(super) const ANY_NAME: Self = Self(u64::MAX);

    fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let parts: Vec<&[u8]> = [&[kind.as_bytes()], parts].concat();
        let digest = Sha256::of(parts.join(&0));
        let first = digest.as_bytes().first_chunk().copied();
        Self(u64::from_be_bytes(first.unwrap_or_default()))
    }

    pub(super) fn leaf(sha256: &Sha256) -> Self {
        Self::of("leaf", &[sha256.as_bytes()])
    }

    pub(super) fn key(sha256: &Sha256) -> Self {
        Self::of("key", &[sha256.as_bytes()])
    }

    pub(super) fn serial(serial: &str, issuer: &IssuerName) -> Self {
        Self::of("serial", &[issuer.sha256().as_bytes(), serial.as_bytes()])
    }

    pub(super) fn name(name: &SubjectAltName) -> Self {
        let oid = name.oid.as_deref().unwrap_or_default();
        let parts = [name.kind.as_str(), oid, &name.value];
        Self::of("name", &parts.map(str::as_bytes))
    }
}

/// Everything that a leaf can be denied by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafMarks(pub(super) Vec<Mark>);

/// A text that is no marks of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidMarks;

impl LeafMarks {
    /// Those of a leaf in DER; none of one that cannot be read.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let fields = Certificate::read(der).ok()?;
        let mut marks = vec![Mark::leaf(&Sha256::of(der))];
        marks.extend(key::every_sha256(fields.key).iter().map(Mark::key));
        if let Some(issuer) = IssuerName::presented(fields.issuer) {
            marks.push(Mark::serial(&serial::presented(fields.serial), &issuer));
        }
        let names = alternative_name::presented(fields.extensions.alternative_names);
        match names
            .take(MAX_NAMES + 1)
            .collect::<Result<Vec<_>, Unreadable>>()
        {
            Ok(names) if names.len() <= MAX_NAMES => {
                let names = names.iter().filter_map(|name| name.normal());
                marks.extend(names.map(|name| Mark::name(&name)));
            }
            _ => marks.push(Mark::ANY_NAME),
        }
        Some(Self(marks))
    }
}

impl fmt::Display for LeafMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|Mark(mark)| write!(f, "{mark:016x}"))
    }
}

impl FromStr for LeafMarks {
    type Err = InvalidMarks;

    fn from_str(text: &str) -> Result<Self, InvalidMarks> {
        let mut marks = Vec::new();
        for digits in text.as_bytes().chunks(DIGITS) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidMarks)?;
            let whole = digits.len() == DIGITS && digits.chars().all(|c| c.is_ascii_hexdigit());
            let mark = u64::from_str_radix(digits, 16).ok().filter(|_| whole);
            marks.push(Mark(mark.ok_or(InvalidMarks)?));
        }
        Ok(Self(marks))
    }
}
