//! What a certificate's extensions say, as far as judging a path asks.

use super::{malformed::Malformed, names::NameLoad};
use crate::der::{self, Reader};

/// The most extensions that a certificate may have. Each is compared with those before it; real
/// certificates have ten or so, the conformance suites at most eleven.
const MAX_EXTENSIONS: usize = 32;

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
    /// The subject alternative names (RFC 5280 section 4.2.1.6), unread.
    pub(crate) alternative_names: Option<&'a [u8]>,
    /// How many of those there are.
    names: NameLoad,
    /// How many name constraints (RFC 5280 section 4.2.1.10) it puts on what is below it.
    pub(crate) constraints: NameLoad,
    /// The first critical extension that is not processed here, by the contents of its identifier.
    pub(crate) unknown_critical: Option<&'a [u8]>,
    /// How many extensions there are.
    pub(crate) count: u64,
}

/// The bits of key usage that judging a path looks at.
#[derive(Clone, Copy)]
pub(crate) struct KeyUsage {
    /// The key may sign a handshake.
    pub(crate) digital_signature: bool,
    /// The key may sign certificates.
    pub(crate) certificate_signing: bool,
    /// The key may sign revocation lists.
    pub(crate) crl_signing: bool,
}

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
/// 2.5.29.30, id-ce-nameConstraints.
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
/// 1.3.6.1.5.5.7.3.2, id-kp-clientAuth.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

impl<'a> Extensions<'a> {
    /// Reads the contents of the list of extensions.
    pub(super) fn read(list: &'a [u8]) -> Result<Self, Malformed> {
        let mut extensions = Self::default();
        let mut seen: [&[u8]; MAX_EXTENSIONS] = [&[]; MAX_EXTENSIONS];
        let mut reader = Reader::new(list);
        for read in 0.. {
            if reader.at_end() {
                break;
            }
            let (id, critical, value) =
                extension(&mut reader).ok_or(Malformed::of("its extensions are malformed"))?;
            // RFC 5280 section 4.2: no extension more than once.
            if seen.iter().take(read).any(|earlier| *earlier == id) {
                return Err(Malformed::extension(id, "is there twice"));
            }
            let too_many = Malformed::of("it has more than 32 extensions");
            *seen.get_mut(read).ok_or(too_many)? = id;
            extensions.note(id, critical, value)?;
            extensions.count += 1;
        }
        Ok(extensions)
    }

    /// Remembers what one extension says.
    fn note(&mut self, id: &'a [u8], critical: bool, value: &'a [u8]) -> Result<(), Malformed> {
        let processed = match id.strip_prefix(STANDARD_EXTENSION) {
            Some([last]) => self.note_standard(*last, value),
            _ => Some(false),
        };
        let processed = processed.ok_or_else(|| {
            let constraint = id == NAME_CONSTRAINTS && has_leading_dot(value);
            Malformed::extension(
                id,
                if constraint {
                    "has a DNS name that begins with a dot"
                } else {
                    "is malformed"
                },
            )
        })?;
        if critical && !processed {
            self.unknown_critical.get_or_insert(id);
        }
        Ok(())
    }

    /// Whether the standard extension of this last number is one that is processed; `None` when its
    /// value is malformed.
    fn note_standard(&mut self, last: u8, value: &'a [u8]) -> Option<bool> {
        match last {
            // RFC 5280 sections 4.2.1.1 and 4.2.1.2: never critical.
            14 => {
                self.subject_key = Some(der::only(value, der::OCTET_STRING)?);
                return Some(false);
            }
            35 => {
                self.authority_key = authority_key(value)?;
                return Some(false);
            }
            15 => self.key_usage = Some(key_usage(value)?),
            19 => (self.is_ca, self.path_length) = basic_constraints(value)?,
            30 => {
                check_name_constraints(value)?;
                self.constraints = NameLoad::of_constraints(value);
            }
            37 => self.client_auth = Some(names_client_auth(value)?),
            // webpki reads the names, and leaves CRL distribution points alone: nothing is fetched.
            17 => {
                self.alternative_names = Some(value);
                self.names = NameLoad::of_alternative_names(value);
            }
            31 => {}
            _ => return Some(false),
        }
        Some(true)
    }

    /// How many alternative names there are to compare with name constraints.
    pub(crate) const fn names(&self) -> NameLoad {
        // Whether directory names are constrained is asked of every certificate, too.
        self.names.plus(NameLoad { count: 1, bytes: 0 })
    }
}

/// The next extension: its identifier, whether it is critical, its value.
pub(crate) fn extension<'a>(list: &mut Reader<'a>) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut fields = Reader::new(list.take(der::SEQUENCE)?);
    let id = fields.take(der::OBJECT_IDENTIFIER)?;
    let critical = boolean(fields.take_optional(der::BOOLEAN)?)?;
    let value = fields.take(der::OCTET_STRING)?;
    fields.at_end().then_some((id, critical, value))
}

/// A boolean that is false when absent. DER would not write that false; some CAs do.
pub(crate) fn boolean(value: Option<&[u8]>) -> Option<bool> {
    match value {
        None | Some([0x00]) => Some(false),
        Some([0xff]) => Some(true),
        Some(_) => None,
    }
}

/// The key identifier, if there is one that says something. Issuer and serial number may follow,
/// and nothing else: another reader could take a stray field for the key identifier.
pub(crate) fn authority_key(value: &[u8]) -> Option<Option<&[u8]>> {
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
        crl_signing: first & 0x02 != 0,
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

/// Whether one of the name constraints is on a DNS name with a leading dot.
fn has_leading_dot(value: &[u8]) -> bool {
    let Some(lists) = der::only(value, der::SEQUENCE) else {
        return false;
    };
    let mut lists = Reader::new(lists);
    while let Some((_, list)) = lists.any() {
        let mut subtrees = Reader::new(list);
        while let Some((_, subtree)) = subtrees.any() {
            let base = Reader::new(subtree).any();
            if base.is_some_and(|(kind, base)| kind == DNS_NAME && base.starts_with(b".")) {
                return true;
            }
        }
    }
    false
}

fn names_client_auth(value: &[u8]) -> Option<bool> {
    let mut purposes = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut found = false;
    while !purposes.at_end() {
        found |= purposes.take(der::OBJECT_IDENTIFIER)? == CLIENT_AUTH;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_bits_are_where_rfc_5280_puts_them() {
        let usage = key_usage(&[der::BIT_STRING, 2, 2, 0x84]).unwrap();
        assert!(usage.digital_signature && usage.certificate_signing && !usage.crl_signing);
        let usage = key_usage(&[der::BIT_STRING, 2, 1, 0x7b & !0x04]).unwrap();
        assert!(!usage.digital_signature && !usage.certificate_signing && usage.crl_signing);
        let usage = key_usage(&[der::BIT_STRING, 1, 0]).unwrap();
        assert!(!usage.digital_signature && !usage.certificate_signing);
        assert!(key_usage(&[der::BIT_STRING, 0]).is_none());
        assert!(key_usage(&[der::BIT_STRING, 2, 8, 0xff]).is_none());
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
