//! What a policy can see of a leaf.

use super::{
    error::EvaluationError,
    limits::{MAX_NAMES, MAX_NAMES_BYTES, MAX_TEXT_BYTES},
};

/// An attribute of the subject, in the order and under the names that policies use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `commonName`, 2.5.4.3.
    CommonName,
    /// `countryName`, 2.5.4.6.
    CountryCode,
    /// `organizationName`, 2.5.4.10.
    Organization,
    /// `organizationalUnitName`, 2.5.4.11.
    OrganizationalUnit,
    /// `localityName`, 2.5.4.7.
    Locality,
    /// `stateOrProvinceName`, 2.5.4.8.
    Province,
    /// `streetAddress`, 2.5.4.9.
    StreetAddress,
    /// `postalCode`, 2.5.4.17.
    PostalCode,
}

impl Attribute {
    /// Every attribute.
    pub const ALL: [Self; 8] = [
        Self::CommonName,
        Self::CountryCode,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::Locality,
        Self::Province,
        Self::StreetAddress,
        Self::PostalCode,
    ];

    /// Its name after `subject.`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommonName => "common_name",
            Self::CountryCode => "country_code",
            Self::Organization => "organization",
            Self::OrganizationalUnit => "organizational_unit",
            Self::Locality => "locality",
            Self::Province => "province",
            Self::StreetAddress => "street_address",
            Self::PostalCode => "postal_code",
        }
    }
}

/// The kind of a subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameType {
    /// `dNSName`.
    Dns,
    /// `rfc822Name`.
    Email,
    /// `iPAddress`.
    IpAddress,
    /// `uniformResourceIdentifier`.
    Uri,
    /// `otherName`.
    Custom,
    /// Any other kind. No constant equals it and its value cannot be read, so that it can neither
    /// satisfy a policy nor hide from `all` and `size`.
    Unnamed,
}

impl NameType {
    /// The bare constants of the language.
    pub const CONSTANTS: [(&'static str, Self); 5] = [
        ("DNS", Self::Dns),
        ("EMAIL", Self::Email),
        ("IP_ADDRESS", Self::IpAddress),
        ("URI", Self::Uri),
        ("CUSTOM", Self::Custom),
    ];
}

/// One text of the leaf, or why it must not be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Plain(Box<str>),
    /// The attribute occurs more than once, so it is not clear which one is meant.
    Repeated,
    /// Not text, badly encoded, longer than [`MAX_TEXT_BYTES`], or with control characters (a NUL
    /// makes two readers of one name see two names).
    Unreadable,
}

impl Text {
    pub(super) fn plain(value: &str) -> Self {
        if value.len() > MAX_TEXT_BYTES || value.chars().any(char::is_control) {
            return Self::Unreadable;
        }
        Self::Plain(value.into())
    }

    fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Repeated => Some("occurs more than once"),
            Self::Unreadable => Some("is not text that can be relied on"),
        }
    }
}

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: NameType,
    pub(super) value: Text,
    pub(super) oid: Box<str>,
}

/// What a policy can see of a verified leaf: its subject attributes and subject alternative names.
#[derive(Debug, Clone, Default)]
pub struct LeafFacts {
    /// None where the attribute is absent.
    attributes: [Option<Text>; Attribute::ALL.len()],
    names: Vec<Name>,
    names_bytes: usize,
    too_many_names: bool,
}

impl LeafFacts {
    /// The same leaf with one more occurrence of the attribute.
    #[must_use]
    pub fn with_attribute(mut self, attribute: Attribute, value: &str) -> Self {
        self.add_attribute(attribute, Text::plain(value));
        self
    }

    /// The same leaf with one more subject alternative name; `oid` is `""` but for
    /// [`NameType::Custom`].
    #[must_use]
    pub fn with_name(mut self, kind: NameType, value: &str, oid: &str) -> Self {
        self.add_name(kind, Text::plain(value), oid);
        self
    }

    /// What no policy can rely on, in words, to explain a refusal: an attribute that occurs more
    /// than once, a name that is not readable text.
    pub fn unusable(&self) -> impl Iterator<Item = String> {
        let attributes = Attribute::ALL.iter().zip(&self.attributes);
        let attributes = attributes.filter_map(|(attribute, text)| {
            let problem = text.as_ref()?.problem()?;
            Some(format!("`subject.{}` {problem}", attribute.name()))
        });
        let names = self.names.iter().enumerate().filter_map(|(index, name)| {
            let problem = name.value.problem()?;
            Some(format!("`subject_alt_names[{index}].value` {problem}"))
        });
        attributes.chain(names)
    }

    /// The subject alternative names for people: `DNS:a.example`, and `(unreadable)` where the
    /// value is not text that can be relied on.
    #[must_use]
    pub fn readable_names(&self) -> Vec<String> {
        let readable = |name: &Name| {
            let value = match &name.value {
                Text::Plain(text) => text,
                Text::Repeated | Text::Unreadable => "(unreadable)",
            };
            let kind = NameType::CONSTANTS
                .iter()
                .find(|(_, kind)| *kind == name.kind);
            let kind = kind.map_or("OTHER", |(constant, _)| constant);
            match &*name.oid {
                "" => format!("{kind}:{value}"),
                oid => format!("{kind}:{oid}:{value}"),
            }
        };
        self.names.iter().map(readable).collect()
    }

    /// Adds an occurrence.
    pub(super) fn add_attribute(&mut self, attribute: Attribute, text: Text) {
        if let Some(slot) = self.attributes.get_mut(attribute as usize) {
            *slot = Some(if slot.is_some() { Text::Repeated } else { text });
        }
    }

    /// Adds a name, or only the mark that there are too many.
    pub(super) fn add_name(&mut self, kind: NameType, value: Text, oid: &str) {
        let value = if kind == NameType::Unnamed {
            Text::Unreadable
        } else {
            value
        };
        if let Text::Plain(text) = &value {
            self.names_bytes += text.len();
        }
        self.names_bytes += oid.len();
        self.too_many_names |= self.names.len() == MAX_NAMES
            || self.names_bytes > MAX_NAMES_BYTES
            || oid.len() > MAX_TEXT_BYTES;
        if !self.too_many_names {
            self.names.push(Name {
                kind,
                value,
                oid: oid.into(),
            });
        }
    }

    /// Whether there are more names than a policy may see.
    pub(super) const fn has_too_many_names(&self) -> bool {
        self.too_many_names
    }

    /// The attribute's text; none when it is absent.
    pub(super) fn attribute(&self, attribute: Attribute) -> Option<&Text> {
        self.attributes.get(attribute as usize)?.as_ref()
    }

    pub(super) fn names(&self) -> Result<&[Name], EvaluationError> {
        if self.too_many_names {
            return Err(EvaluationError::TooManyNames);
        }
        Ok(&self.names)
    }
}
