//! What a leaf says, in the words that people know it by.

use countersign_types::UnixSeconds;
use x509_parser::{certificate::X509CertificateParser, nom::Parser as _};

use crate::{name, policy::LeafFacts, x509::Certificate};

/// What a leaf says. A leaf that cannot be read says nothing: everything is empty then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafSummary {
    /// The subject in the manner of RFC 4514, at most 256 characters of it.
    pub subject: String,
    /// The subject alternative names, `DNS:a.example` and the like.
    pub names: Vec<String>,
    /// The issuer in the manner of RFC 4514, at most 256 characters of it.
    pub issuer: String,
    /// The key identifier of the Authority Key Identifier (RFC 5280 section 4.2.1.1).
    pub authority_key: Option<Vec<u8>>,
    /// `notAfter`, in Unix seconds.
    pub not_after: Option<UnixSeconds>,
}

/// From when and until when a leaf in DER holds (`notBefore`, `notAfter`), in Unix seconds; `None`
/// when it cannot be read.
#[must_use]
pub fn leaf_validity(leaf: &[u8]) -> Option<(UnixSeconds, UnixSeconds)> {
    let fields = Certificate::read(leaf).ok()?;
    Some((fields.not_before, fields.not_after))
}

impl LeafSummary {
    /// Reads a leaf in DER, or what of it can be read.
    #[must_use]
    pub fn of(leaf: &[u8]) -> Self {
        let mut summary = Self::default();
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        if let Ok(([], certificate)) = parser.parse(leaf) {
            summary.subject = name::readable(certificate.subject());
            summary.issuer = name::readable(certificate.issuer());
        }
        if let Ok(fields) = Certificate::read(leaf) {
            summary.authority_key = fields.extensions.authority_key.map(<[u8]>::to_vec);
            summary.not_after = Some(fields.not_after);
        }
        if let Ok(facts) = LeafFacts::from_der(leaf) {
            summary.names = facts.readable_names();
        }
        summary
    }
}
