//! Reads the facts out of a certificate.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    asn1_rs::{Any, Class, Tag},
    certificate::{X509Certificate, X509CertificateParser},
    extensions::GeneralName,
    nom::Parser as _,
    oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME,
    prelude::FromDer,
};

use super::facts::{Attribute, LeafFacts, NameType, Text};
use crate::der::{self, Reader};

/// The leaf cannot be read, so no policy can be asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableLeaf(&'static str);

const SUBJECT: UnreadableLeaf = UnreadableLeaf("the subject cannot be parsed");
const NAMES: UnreadableLeaf =
    UnreadableLeaf("the subject alternative names cannot be parsed, or come twice");

impl LeafFacts {
    /// Reads the facts out of a leaf in DER.
    ///
    /// # Errors
    /// When it is not one X.509 certificate, or its subject alternative names cannot be parsed or
    /// come as two extensions.
    pub fn from_der(leaf: &[u8]) -> Result<Self, UnreadableLeaf> {
        // Only one extension is looked at, and that one more strictly.
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        match parser.parse(leaf) {
            Ok(([], certificate)) => Self::from_certificate(&certificate),
            Ok(_) => Err(UnreadableLeaf("the leaf is followed by other bytes")),
            Err(_) => Err(UnreadableLeaf("the leaf is not an X.509 certificate")),
        }
    }

    fn from_certificate(leaf: &X509Certificate<'_>) -> Result<Self, UnreadableLeaf> {
        let names = leaf.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME);
        let names = names.map_err(|_| NAMES)?.map(|extension| extension.value);
        let subject = der::only(leaf.subject().as_raw(), der::SEQUENCE).ok_or(SUBJECT)?;
        Self::from_fields(subject, names)
    }

    /// Reads the facts out of a leaf's subject (the contents of the name) and its subject
    /// alternative names (the value of the extension).
    pub(crate) fn from_fields(
        subject: &[u8],
        alternative_names: Option<&[u8]>,
    ) -> Result<Self, UnreadableLeaf> {
        let mut facts = Self::default();
        add_attributes(&mut facts, subject).ok_or(SUBJECT)?;
        if let Some(value) = alternative_names {
            add_names(&mut facts, value)?;
        }
        Ok(facts)
    }
}

/// Adds every attribute of the subject. Every occurrence counts, whether in an RDN of its own or in
/// a multi-valued one.
fn add_attributes(facts: &mut LeafFacts, subject: &[u8]) -> Option<()> {
    let mut sets = Reader::new(subject);
    while !sets.at_end() {
        let mut entries = Reader::new(sets.take(der::SET)?);
        while !entries.at_end() {
            let mut entry = Reader::new(entries.take(der::SEQUENCE)?);
            let oid = entry.take(der::OBJECT_IDENTIFIER)?;
            let (tag, value) = entry.any()?;
            if let Some(attribute) = attribute(oid) {
                // One that occurs again is not read: a subject of thousands would take long.
                let text = match facts.attribute(attribute) {
                    Some(_) => Text::Repeated,
                    None => text(tag, value),
                };
                facts.add_attribute(attribute, text);
            }
        }
    }
    Some(())
}

/// The attribute with the object identifier whose DER content this is (RFC 5280 appendix A.1).
fn attribute(oid: &[u8]) -> Option<Attribute> {
    let [0x55, 0x04, arc] = oid else { return None };
    Some(match arc {
        3 => Attribute::CommonName,
        6 => Attribute::CountryCode,
        7 => Attribute::Locality,
        8 => Attribute::Province,
        9 => Attribute::StreetAddress,
        10 => Attribute::Organization,
        11 => Attribute::OrganizationalUnit,
        17 => Attribute::PostalCode,
        _ => return None,
    })
}

/// Adds every name of the extension. It is read here to its last byte: a name that a laxer reader
/// steps over would hide from `all`.
fn add_names(facts: &mut LeafFacts, extension: &[u8]) -> Result<(), UnreadableLeaf> {
    let Ok(([], list)) = Any::from_der(extension) else {
        return Err(NAMES);
    };
    if list.header.tag() != Tag::Sequence || list.class() != Class::Universal {
        return Err(NAMES);
    }
    let mut rest = list.data;
    while !rest.is_empty() {
        // No policy can see the names of a leaf with too many, so no more of them are decoded, but
        // there must still be names to the last byte.
        if facts.has_too_many_names() {
            let mut names = Reader::new(rest);
            while !names.at_end() {
                names.any().ok_or(NAMES)?;
            }
            return Ok(());
        }
        let (after, name) = Any::from_der(rest).map_err(|_| NAMES)?;
        rest = after;
        // `otherName`, `x400Address`, `directoryName` and `ediPartyName` are constructed; the tag
        // of the others with that bit is another tag to a strict reader.
        let constructed = matches!(name.tag(), Tag(0 | 3 | 4 | 5));
        if name.header.is_constructed() == constructed {
            add_name(facts, &GeneralName::try_from(name).map_err(|_| NAMES)?);
        } else {
            facts.add_name(NameType::Unnamed, Text::Unreadable, "");
        }
    }
    Ok(())
}

fn add_name(facts: &mut LeafFacts, name: &GeneralName<'_>) {
    match name {
        // DNS compares without case (RFC 4343), and so do policies: they see lower case only.
        GeneralName::DNSName(value) => {
            facts.add_name(NameType::Dns, ascii(&value.to_ascii_lowercase()), "");
        }
        GeneralName::RFC822Name(value) => facts.add_name(NameType::Email, ascii(value), ""),
        GeneralName::URI(value) => facts.add_name(NameType::Uri, ascii(value), ""),
        GeneralName::IPAddress(octets) => facts.add_name(NameType::IpAddress, address(octets), ""),
        GeneralName::OtherName(oid, value) => {
            facts.add_name(NameType::Custom, other_name(value), &oid.to_id_string());
        }
        GeneralName::Invalid(tag, _) => {
            facts.add_name(malformed(*tag), Text::Unreadable, "");
        }
        _ => facts.add_name(NameType::Unnamed, Text::Unreadable, ""),
    }
}

/// The kind of a name whose content could not be read (RFC 5280 section 4.2.1.6).
fn malformed(tag: Tag) -> NameType {
    match tag.0 {
        1 => NameType::Email,
        2 => NameType::Dns,
        6 => NameType::Uri,
        _ => NameType::Unnamed,
    }
}

/// An `IA5String`; the parser lets any UTF-8 pass for one.
fn ascii(value: &str) -> Text {
    if value.is_ascii() {
        Text::plain(value)
    } else {
        Text::Unreadable
    }
}

/// An address in its canonical text: dotted, or as RFC 5952 has it.
fn address(octets: &[u8]) -> Text {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        Text::plain(&Ipv4Addr::from(octets).to_string())
    } else if let Ok(octets) = <[u8; 16]>::try_from(octets) {
        Text::plain(&Ipv6Addr::from(octets).to_string())
    } else {
        Text::Unreadable
    }
}

fn other_name(value: &[u8]) -> Text {
    other_name_text(value).map_or(Text::Unreadable, |text| Text::plain(&text))
}

/// The value of an `otherName`: `[0] EXPLICIT ANY`, of which only the string types are read.
pub(crate) fn other_name_text(value: &[u8]) -> Option<String> {
    let only = |bytes| {
        let mut reader = Reader::new(bytes);
        reader.any().filter(|_| reader.at_end())
    };
    let Some((0x80 | 0xa0, wrapped)) = only(value) else {
        return None;
    };
    let (tag, value) = only(wrapped)?;
    attribute_text(tag, value)
}

fn text(tag: u8, data: &[u8]) -> Text {
    attribute_text(tag, data).map_or(Text::Unreadable, |text| Text::plain(&text))
}

/// A string of any of the ASN.1 types that names are made of, each in its universal, primitive
/// form.
pub(crate) fn attribute_text(tag: u8, data: &[u8]) -> Option<String> {
    let utf8 = || std::str::from_utf8(data).ok().map(str::to_owned);
    match tag {
        UTF8_STRING => utf8(),
        // Teletex switches alphabets by escape sequences and nobody agrees on them: ASCII only.
        PRINTABLE_STRING | NUMERIC_STRING | IA5_STRING | VISIBLE_STRING | TELETEX_STRING => {
            utf8().filter(|text| text.is_ascii())
        }
        BMP_STRING => two_byte(data),
        UNIVERSAL_STRING => four_byte(data),
        _ => None,
    }
}

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

/// A `BMPString`: UCS-2, big-endian, which has no surrogates.
fn two_byte(data: &[u8]) -> Option<String> {
    let (units, []) = data.as_chunks::<2>() else {
        return None;
    };
    units
        .iter()
        .map(|unit| char::from_u32(u32::from(u16::from_be_bytes(*unit))))
        .collect()
}

/// A `UniversalString`: UCS-4, big-endian.
fn four_byte(data: &[u8]) -> Option<String> {
    let (units, []) = data.as_chunks::<4>() else {
        return None;
    };
    units
        .iter()
        .map(|unit| char::from_u32(u32::from_be_bytes(*unit)))
        .collect()
}
