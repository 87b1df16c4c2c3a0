//! Names: of a subject, of an alternative subject, of what a CA may or may not name.

use std::net::IpAddr;

use crate::{der, oid};

/// A distinguished name: its attributes, in order; an attribute may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name(Vec<(&'static [u64], u8, String)>);

impl Name {
    /// A name without attributes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A name of one common name.
    #[must_use]
    pub fn common(name: &str) -> Self {
        Self::empty().and(oid::COMMON_NAME, name)
    }

    /// The name with one more attribute.
    #[must_use]
    pub fn and(self, attribute: &'static [u64], value: &str) -> Self {
        self.and_as(der::UTF8_STRING, attribute, value)
    }

    /// The name with one more attribute, written as this string type.
    #[must_use]
    pub fn and_as(mut self, tag: u8, attribute: &'static [u64], value: &str) -> Self {
        self.0.push((attribute, tag, value.to_owned()));
        self
    }

    /// The name in DER.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let attributes = self.0.iter().map(|(attribute, tag, value)| {
            let value = der::element(*tag, value.as_bytes());
            let pair = der::sequence(&[der::oid(attribute), value]);
            der::element(der::SET, &pair)
        });
        der::sequence(&attributes.collect::<Vec<_>>())
    }
}

/// A GeneralName (RFC 5280 section 4.2.1.6), as alternative name or as base of a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum General {
    /// A DNS name.
    Dns(String),
    /// A mail address, or in a constraint also a host.
    Email(String),
    /// An address.
    Ip(IpAddr),
    /// In a constraint: a network, and the mask as an address.
    Network(IpAddr, IpAddr),
    /// A URI, or in a constraint a host.
    Uri(String),
    /// A distinguished name.
    Directory(Name),
    /// An otherName: its type, and a UTF8String.
    Other(&'static [u64], String),
    /// A registeredID.
    Registered(&'static [u64]),
    /// Anything: the tag byte and the content.
    Raw(u8, Vec<u8>),
}

impl General {
    /// A DNS name.
    #[must_use]
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_owned())
    }

    /// A mail address.
    #[must_use]
    pub fn email(address: &str) -> Self {
        Self::Email(address.to_owned())
    }

    /// A URI.
    #[must_use]
    pub fn uri(uri: &str) -> Self {
        Self::Uri(uri.to_owned())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => der::element(der::primitive(1), text.as_bytes()),
            Self::Dns(text) => der::element(der::primitive(2), text.as_bytes()),
            Self::Uri(text) => der::element(der::primitive(6), text.as_bytes()),
            Self::Ip(address) => der::element(der::primitive(7), &octets(*address)),
            Self::Network(address, mask) => {
                let both = [octets(*address), octets(*mask)].concat();
                der::element(der::primitive(7), &both)
            }
            Self::Directory(name) => der::element(der::constructed(4), &name.der()),
            Self::Other(kind, text) => {
                let text = der::element(der::UTF8_STRING, text.as_bytes());
                let value = der::element(der::constructed(0), &text);
                der::element(der::constructed(0), &[der::oid(kind), value].concat())
            }
            Self::Registered(numbers) => {
                let id = der::oid(numbers);
                let (content, _) = der::read(&id).unwrap_or_default();
                der::element(der::primitive(8), content)
            }
            Self::Raw(tag, content) => der::element(*tag, content),
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
