//! The fields of a certificate that the path rules look at and that webpki keeps to itself: key
//! identifiers, validity, key usage, the public key's strength.
//!
//! This is not the certificate's only reader: `path` reads the same bytes with webpki, and both
//! must agree before anything is permitted.

use rustls_pki_types::alg_id;

use crate::der::{self, Reader};

/// The most extensions that a certificate may have. Each is compared with those before it; real
/// certificates have ten or so, the conformance suites at most eleven.
const MAX_EXTENSIONS: usize = 32;

/// The strength of RSA keys, in bits (docs/specification.md, section 2; the upper bound is
/// aws-lc-rs's).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why bytes are not a certificate that can be judged.
pub(crate) type Malformed = &'static str;

/// A certificate, borrowed from its DER.
pub(crate) struct Certificate<'a> {
    /// Contents of the issuer's name.
    pub(crate) issuer: &'a [u8],
    /// Contents of the subject's name.
    pub(crate) subject: &'a [u8],
    /// Contents of the subject's public key information.
    pub(crate) key: &'a [u8],
    /// The first second of its validity, in Unix seconds.
    pub(crate) not_before: u64,
    /// The last second of its validity, in Unix seconds.
    pub(crate) not_after: u64,
    /// What the extensions say.
    pub(crate) extensions: Extensions<'a>,
}

/// What the extensions say; absent ones are `None` or false.
#[derive(Default)]
pub(crate) struct Extensions<'a> {
    /// The key identifier of the Authority Key Identifier (RFC 5280 section 4.2.1.1).
    pub(crate) authority_key: Option<&'a [u8]>,
    /// The Subject Key Identifier (RFC 5280 section 4.2.1.2).
    pub(crate) subject_key: Option<&'a [u8]>,
    /// Basic constraints (RFC 5280 section 4.2.1.9): whether it is a CA.
    pub(crate) is_ca: bool,
    /// How many CAs that are not self-issued may stand below it.
    pub(crate) path_length: Option<u8>,
    /// Key usage (RFC 5280 section 4.2.1.3).
    pub(crate) key_usage: Option<KeyUsage>,
    /// Extended key usage (RFC 5280 section 4.2.1.12): whether it names clientAuth.
    pub(crate) client_auth: Option<bool>,
    /// Whether an extension is critical that nobody here processes.
    pub(crate) unknown_critical: bool,
}

/// The bits of key usage that judging a path looks at.
#[derive(Clone, Copy)]
pub(crate) struct KeyUsage {
    /// The key may sign a handshake.
    pub(crate) digital_signature: bool,
    /// The key may sign certificates.
    pub(crate) certificate_signing: bool,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let whole = der::only(der, der::SEQUENCE).ok_or("it is not one DER sequence")?;
        let signed = Reader::new(whole)
            .take(der::SEQUENCE)
            .ok_or("its signed part is malformed")?;
        let mut fields = Reader::new(signed);
        if fields.take(VERSION) != Some(VERSION_3) {
            return Err("it is not an X.509 version 3 certificate");
        }
        Self::read_fields(&mut fields).ok_or("its fields are malformed")?
    }

    fn read_fields(fields: &mut Reader<'a>) -> Option<Result<Self, Malformed>> {
        let _serial = fields.take(der::INTEGER)?;
        let _signature = fields.take(der::SEQUENCE)?;
        let issuer = name(fields)?;
        let mut validity = Reader::new(fields.take(der::SEQUENCE)?);
        let not_before = der::time(&mut validity)?;
        let not_after = der::time(&mut validity)?;
        let subject = name(fields)?;
        let key = fields.take(der::SEQUENCE)?;
        let mut key_fields = Reader::new(key);
        let _algorithm = key_fields.take(der::SEQUENCE)?;
        let _bits = key_fields.take(der::BIT_STRING)?;
        let extensions = match fields.take_optional(EXTENSIONS)? {
            Some(list) => Extensions::read(der::only(list, der::SEQUENCE)?),
            None => Ok(Extensions::default()),
        };
        // What stands after the last field of a sequence is read by some and ignored by others.
        if !validity.at_end() || !key_fields.at_end() || !fields.at_end() {
            return None;
        }
        Some(extensions.map(|extensions| Self {
            issuer,
            subject,
            key,
            not_before,
            not_after,
            extensions,
        }))
    }

    /// Whether subject and issuer are the same name (RFC 5280 section 6.1).
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether its key is one that docs/specification.md, section 2 calls supported and
    /// strong enough.
    pub(crate) fn has_strong_key(&self) -> bool {
        self.key_strength().unwrap_or(false)
    }

    fn key_strength(&self) -> Option<bool> {
        let mut fields = Reader::new(self.key);
        let algorithm = fields.take(der::SEQUENCE)?;
        let [0, key @ ..] = fields.take(der::BIT_STRING)? else {
            return None;
        };
        if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            let mut numbers = Reader::new(der::only(key, der::SEQUENCE)?);
            return Some(RSA_BITS.contains(&bits(numbers.take(der::INTEGER)?)));
        }
        let supported = [
            alg_id::ECDSA_P256,
            alg_id::ECDSA_P384,
            alg_id::ECDSA_P521,
            alg_id::ED25519,
        ];
        Some(supported.iter().any(|known| algorithm == known.as_ref()))
    }
}

/// The contents of a name (RFC 5280 section 4.1.2.4), read to the last attribute: a reader that
/// stops at what it does not know would show, and give to policies, only the beginning of it.
fn name<'a>(fields: &mut Reader<'a>) -> Option<&'a [u8]> {
    let name = fields.take(der::SEQUENCE)?;
    let mut sets = Reader::new(name);
    while !sets.at_end() {
        let mut attributes = Reader::new(sets.take(der::SET)?);
        loop {
            let mut attribute = Reader::new(attributes.take(der::SEQUENCE)?);
            attribute.take(der::OBJECT_IDENTIFIER)?;
            attribute.any()?;
            if !attribute.at_end() {
                return None;
            }
            if attributes.at_end() {
                break;
            }
        }
    }
    Some(name)
}

/// `[0]` of a certificate, which wraps its version.
const VERSION: u8 = 0xa0;
/// The integer 2, which means version 3.
const VERSION_3: &[u8] = &[der::INTEGER, 1, 2];
/// `[3]` of a certificate, which wraps its extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[0]` of an Authority Key Identifier.
const KEY_IDENTIFIER: u8 = 0x80;
/// `[1]` and `[2]` of an Authority Key Identifier.
const AUTHORITY_ISSUER: u8 = 0xa1;
const AUTHORITY_SERIAL: u8 = 0x82;
/// `[0]` and `[1]` of name constraints.
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
/// `[2]` of a general name.
const DNS_NAME: u8 = 0x82;
/// 2.5.29, under which the standard extensions are.
const STANDARD_EXTENSION: &[u8] = &[0x55, 0x1d];
/// 1.3.6.1.5.5.7.3.2, id-kp-clientAuth.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

impl<'a> Extensions<'a> {
    fn read(list: &'a [u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = "an extension is malformed";
        let mut extensions = Self::default();
        let mut seen: [&[u8]; MAX_EXTENSIONS] = [&[]; MAX_EXTENSIONS];
        let mut reader = Reader::new(list);
        for read in 0.. {
            if reader.at_end() {
                break;
            }
            let (id, critical, value) = extension(&mut reader).ok_or(MALFORMED)?;
            // RFC 5280 section 4.2: no extension more than once.
            if seen.iter().take(read).any(|earlier| *earlier == id) {
                return Err("an extension is there twice");
            }
            *seen.get_mut(read).ok_or("it has too many extensions")? = id;
            extensions.note(id, critical, value).ok_or(MALFORMED)?;
        }
        Ok(extensions)
    }

    /// Remembers one extension; `None` when its value is malformed.
    fn note(&mut self, id: &[u8], critical: bool, value: &'a [u8]) -> Option<()> {
        match id.strip_prefix(STANDARD_EXTENSION) {
            Some([14]) => {
                self.subject_key = Some(der::only(value, der::OCTET_STRING)?);
                self.unknown_critical |= critical;
            }
            Some([35]) => {
                self.authority_key = authority_key(value)?;
                self.unknown_critical |= critical;
            }
            Some([15]) => self.key_usage = Some(key_usage(value)?),
            Some([19]) => (self.is_ca, self.path_length) = basic_constraints(value)?,
            Some([30]) => check_name_constraints(value)?,
            Some([37]) => self.client_auth = Some(names_client_auth(value)?),
            // Subject alternative names and CRL distribution points: webpki reads those.
            Some([17 | 31]) => {}
            _ => self.unknown_critical |= critical,
        }
        Some(())
    }
}

fn extension<'a>(list: &mut Reader<'a>) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut fields = Reader::new(list.take(der::SEQUENCE)?);
    let id = fields.take(der::OBJECT_IDENTIFIER)?;
    let critical = boolean(fields.take_optional(der::BOOLEAN)?)?;
    let value = fields.take(der::OCTET_STRING)?;
    fields.at_end().then_some((id, critical, value))
}

/// A boolean that is false when absent. DER would not write that false; some CAs do.
fn boolean(value: Option<&[u8]>) -> Option<bool> {
    match value {
        None | Some([0x00]) => Some(false),
        Some([0xff]) => Some(true),
        Some(_) => None,
    }
}

/// The key identifier, if there is one that says something. Issuer and serial number may follow,
/// and nothing else: another reader could take a stray field for the key identifier.
fn authority_key(value: &[u8]) -> Option<Option<&[u8]>> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
    let key = fields.take_optional(KEY_IDENTIFIER)?;
    fields.take_optional(AUTHORITY_ISSUER)?;
    fields.take_optional(AUTHORITY_SERIAL)?;
    fields.at_end().then(|| key.filter(|key| !key.is_empty()))
}

fn basic_constraints(value: &[u8]) -> Option<(bool, Option<u8>)> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
    let is_ca = boolean(fields.take_optional(der::BOOLEAN)?)?;
    let path_length = match fields.take_optional(der::INTEGER)? {
        None => None,
        Some([length @ 0..=0x7f] | [0, length @ 0x80..=0xff]) => Some(*length),
        Some(_) => return None,
    };
    fields.at_end().then_some((is_ca, path_length))
}

fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    let [0..=7, bits @ ..] = der::only(value, der::BIT_STRING)? else {
        return None;
    };
    let first = bits.first().copied().unwrap_or_default();
    Some(KeyUsage {
        digital_signature: first & 0x80 != 0,
        certificate_signing: first & 0x04 != 0,
    })
}

/// Name constraints are webpki's to apply. It takes shapes that RFC 5280 section 4.2.1.10 does not
/// know: no list at all, a list without an entry, and a DNS name with a leading dot.
fn check_name_constraints(value: &[u8]) -> Option<()> {
    let mut lists = Reader::new(der::only(value, der::SEQUENCE)?);
    if lists.at_end() {
        return None;
    }
    for tag in [PERMITTED, EXCLUDED] {
        let Some(list) = lists.take_optional(tag)? else {
            continue;
        };
        let mut subtrees = Reader::new((!list.is_empty()).then_some(list)?);
        while !subtrees.at_end() {
            let (kind, base) = Reader::new(subtrees.take(der::SEQUENCE)?).any()?;
            if kind == DNS_NAME && base.starts_with(b".") {
                return None;
            }
        }
    }
    lists.at_end().then_some(())
}

fn names_client_auth(value: &[u8]) -> Option<bool> {
    let mut purposes = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut found = false;
    while !purposes.at_end() {
        found |= purposes.take(der::OBJECT_IDENTIFIER)? == CLIENT_AUTH;
    }
    Some(found)
}

/// The bits of a positive integer, leading zeros not counted.
fn bits(integer: &[u8]) -> usize {
    let digits = match integer {
        [0, digits @ ..] => digits,
        digits => digits,
    };
    let top = digits
        .first()
        .map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or(8));
    (digits.len() * 8).saturating_sub(top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes);
            let _ = Extensions::read(&bytes);
        }
    }

    #[test]
    fn key_usage_bits_are_where_rfc_5280_puts_them() {
        let usage = key_usage(&[der::BIT_STRING, 2, 2, 0x84]).unwrap();
        assert!(usage.digital_signature && usage.certificate_signing);
        let usage = key_usage(&[der::BIT_STRING, 2, 1, 0x7b & !0x04]).unwrap();
        assert!(!usage.digital_signature && !usage.certificate_signing);
        let usage = key_usage(&[der::BIT_STRING, 1, 0]).unwrap();
        assert!(!usage.digital_signature && !usage.certificate_signing);
        assert!(key_usage(&[der::BIT_STRING, 0]).is_none());
        assert!(key_usage(&[der::BIT_STRING, 2, 8, 0xff]).is_none());
    }

    #[test]
    fn rsa_sizes_are_counted_in_bits() {
        assert_eq!(bits(&[]), 0);
        assert_eq!(bits(&[0, 0x80]), 8);
        assert_eq!(bits(&[0x01, 0xff]), 9);
        assert_eq!(bits(&[0x7f]), 7);
    }

    #[test]
    fn an_empty_key_identifier_identifies_nothing() {
        assert_eq!(
            authority_key(&[der::SEQUENCE, 2, KEY_IDENTIFIER, 0]),
            Some(None)
        );
        assert_eq!(
            authority_key(&[der::SEQUENCE, 3, KEY_IDENTIFIER, 1, 7]),
            Some(Some([7].as_slice()))
        );
        assert_eq!(
            authority_key(&[der::SEQUENCE, 3, KEY_IDENTIFIER, 2, 7]),
            None
        );
    }
}
