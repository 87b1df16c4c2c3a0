//! Object identifiers as people read them: the name that RFC 5280 or its neighbours give, and the
//! numbers.

use std::{borrow::Cow, fmt};

use x509_parser::{
    asn1_rs::Oid,
    objects::{oid_registry, oid2sn},
};

/// The most characters of an unnamed identifier that are shown, as many as an honest one has.
const MAX_SHOWN: usize = 64;

/// Names that the registry lacks, or writes otherwise than the RFCs do.
const NAMES: [(&[u8], &str); 21] = [
    (&[0x55, 0x1d, 0x0e], "subjectKeyIdentifier"),
    (&[0x55, 0x1d, 0x0f], "keyUsage"),
    (&[0x55, 0x1d, 0x11], "subjectAltName"),
    (&[0x55, 0x1d, 0x13], "basicConstraints"),
    (&[0x55, 0x1d, 0x14], "cRLNumber"),
    (&[0x55, 0x1d, 0x15], "reasonCode"),
    (&[0x55, 0x1d, 0x1b], "deltaCRLIndicator"),
    (&[0x55, 0x1d, 0x1c], "issuingDistributionPoint"),
    (&[0x55, 0x1d, 0x1d], "certificateIssuer"),
    (&[0x55, 0x1d, 0x1e], "nameConstraints"),
    (&[0x55, 0x1d, 0x20], "certificatePolicies"),
    (&[0x55, 0x1d, 0x21], "policyMappings"),
    (&[0x55, 0x1d, 0x23], "authorityKeyIdentifier"),
    (&[0x55, 0x1d, 0x24], "policyConstraints"),
    (&[0x55, 0x1d, 0x25], "extendedKeyUsage"),
    (&[0x55, 0x1d, 0x36], "inhibitAnyPolicy"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1], "P-192"),
    (&[0x2b, 0x81, 4, 0, 0x21], "P-224"),
    (&[0x2b, 0x81, 4, 0, 0x0a], "secp256k1"),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], "brainpoolP256r1"),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11], "brainpoolP384r1"),
];

/// An object identifier, by the contents of its DER. It is shown as `keyUsage (2.5.29.15)`, or by
/// its numbers alone when it has no name here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectId(Box<[u8]>);

impl ObjectId {
    pub(crate) fn new(contents: &[u8]) -> Self {
        Self(contents.into())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = numbers(&self.0);
        match name(&self.0) {
            Some(name) => write!(f, "{name} ({numbers})"),
            None => f.write_str(&numbers),
        }
    }
}

/// The name of an identifier, or its numbers when it has none.
pub(crate) fn name_or_numbers(contents: &[u8]) -> Cow<'static, str> {
    name(contents).unwrap_or_else(|| numbers(contents).into())
}

fn name(contents: &[u8]) -> Option<Cow<'static, str>> {
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == contents) {
        return Some(Cow::Borrowed(name));
    }
    let oid = Oid::new(Cow::Borrowed(contents));
    let name = oid2sn(&oid, oid_registry()).ok()?;
    (!name.is_empty()).then(|| Cow::Owned(name.to_owned()))
}

fn numbers(contents: &[u8]) -> String {
    let oid = Oid::new(Cow::Borrowed(contents));
    oid.to_id_string().chars().take(MAX_SHOWN).collect()
}
