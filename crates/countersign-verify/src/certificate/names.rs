//! The names of a certificate as other programs read them: whole, in ASCII, and with nothing that
//! could be mistaken for what stands around them.

use std::fmt::Write as _;

use x509_parser::{
    asn1_rs::{FromDer as _, ToDer as _},
    certificate::X509CertificateParser,
    extensions::{GeneralName, SubjectAlternativeName},
    nom::Parser as _,
    oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The subject of a certificate, and its names of two kinds. Of a certificate that cannot be read,
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainNames {
    /// The subject as RFC 4514 writes it, every byte that is not ASCII in hexadecimal.
    pub subject: String,
    /// The URIs among its subject alternative names. One that is no URI (RFC 3986) is left out.
    pub uris: Vec<String>,
    /// The DNS names among them. One that is no DNS name is left out.
    pub dns: Vec<String>,
}

impl PlainNames {
    /// Reads a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut names = Self::default();
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let Ok(([], certificate)) = parser.parse(certificate) else {
            return names;
        };
        names.subject = rfc4514(certificate.subject());
        let Ok(Some(extension)) = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME)
        else {
            return names;
        };
        let Ok(([], alternative)) = SubjectAlternativeName::from_der(extension.value) else {
            return names;
        };
        for name in alternative.general_names {
            match name {
                GeneralName::URI(uri) if is_of(uri, b"-._~:/?#[]@!$&'()*+,;=%") => {
                    names.uris.push(uri.to_owned());
                }
                GeneralName::DNSName(dns) if is_of(dns, b"-._*") => names.dns.push(dns.to_owned()),
                _ => {}
            }
        }
        names
    }
}

/// Whether a name has letters, digits and these signs, and nothing else.
fn is_of(name: &str, signs: &[u8]) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || signs.contains(&byte);
    !name.is_empty() && name.bytes().all(known)
}

/// A name as RFC 4514 writes it: the last part first. An empty one has no text.
fn rfc4514(name: &X509Name<'_>) -> String {
    let part = |attribute: &AttributeTypeAndValue<'_>| {
        let value = match attribute.as_str() {
            Ok(text) => escaped(text),
            Err(_) => {
                let der = attribute.attr_value().to_der_vec().unwrap_or_default();
                format!("#{}", data_encoding::HEXLOWER.encode(&der))
            }
        };
        format!("{}={value}", kind(attribute))
    };
    let sets = name
        .iter_rdn()
        .map(|set| set.iter().map(part).collect::<Vec<_>>().join("+"));
    let mut sets: Vec<String> = sets.collect();
    sets.reverse();
    sets.join(",")
}

/// The short names that OpenSSL and with it most programs know (RFC 4514 section 3 has most).
fn kind(attribute: &AttributeTypeAndValue<'_>) -> String {
    let numbers = attribute.attr_type().to_id_string();
    let known = match &*numbers {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return numbers,
    };
    known.to_owned()
}

/// RFC 4514 section 2.4.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'#' if at == 0 => out.push_str("\\#"),
            b' ' if at == 0 || at == last => out.push_str("\\ "),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use countersign_testca::{General, oid, root};

    use super::*;

    #[test]
    fn names_are_whole_and_plain() {
        let ca = root("CA").mint();
        let leaf = ca
            .leaf("a, \"b\" é")
            .attribute(oid::ORGANIZATIONAL_UNIT, "#Production ")
            .san(General::uri("spiffe://example.com/a?b=c,d"))
            .san(General::uri("spiffe://example.com/\";Hash=0"))
            .san(General::dns("*.a.example"))
            .san(General::dns("b.example;URI=c"))
            .mint();
        let names = PlainNames::of(leaf.der());
        assert_eq!(
            names.subject,
            "OU=\\#Production\\ ,CN=a\\, \\\"b\\\" \\C3\\A9"
        );
        assert_eq!(names.uris, ["spiffe://example.com/a?b=c,d"]);
        assert_eq!(names.dns, ["*.a.example"]);
        assert_eq!(PlainNames::of(b"no certificate"), PlainNames::default());
    }
}
