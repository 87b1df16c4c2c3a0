//! What the extensions of a revocation list and of its entries say (RFC 5280 sections 5.2 and 5.3).

use super::{number::CrlNumber, rejection::CrlRejection};
use crate::{
    der::{self, Reader},
    oid::ObjectId,
    x509::{authority_key, boolean, extension},
};

/// The most extensions of a list, and of an entry. Each is compared with those before it; real lists
/// have four or five, real entries three.
const MAX_EXTENSIONS: usize = 32;
const MAX_ENTRY_EXTENSIONS: usize = 8;

/// 2.5.29, under which the standard extensions are.
const STANDARD_EXTENSION: &[u8] = &[0x55, 0x1d];
/// removeFromCRL, which only a delta list may say (RFC 5280 section 5.3.1).
const REMOVE_FROM_CRL: u8 = 8;

/// What the extensions of a list say.
#[derive(Default)]
pub(super) struct ListExtensions<'a> {
    /// The key identifier of the Authority Key Identifier.
    pub(super) authority_key: Option<&'a [u8]>,
    /// The cRLNumber.
    pub(super) number: Option<CrlNumber>,
    /// The issuing distribution point, unread.
    pub(super) distribution_point: Option<&'a [u8]>,
    /// Whether the list says nothing of CA certificates.
    pub(super) only_user_certificates: bool,
}

impl<'a> ListExtensions<'a> {
    /// Reads the contents of the list of extensions.
    pub(super) fn read(list: &'a [u8]) -> Result<Self, CrlRejection> {
        let mut extensions = Self::default();
        each::<MAX_EXTENSIONS>(list, |id, critical, value| {
            extensions.note(id, critical, value)
        })?;
        Ok(extensions)
    }

    fn note(&mut self, id: &'a [u8], critical: bool, value: &'a [u8]) -> Result<(), CrlRejection> {
        let malformed = || {
            let id = ObjectId::new(id);
            CrlRejection::malformed(&format!("its extension {id} is malformed"))
        };
        match id.strip_prefix(STANDARD_EXTENSION) {
            Some([20]) => {
                let number = der::only(value, der::INTEGER).and_then(CrlNumber::read);
                self.number = Some(number.ok_or_else(malformed)?);
            }
            Some([35]) => self.authority_key = authority_key(value).ok_or_else(malformed)?,
            Some([27]) => {
                let id = ObjectId::new(id);
                return Err(CrlRejection::unsupported(format!("is a delta list: {id}")));
            }
            Some([28]) => {
                let point = DistributionPoint::read(value).ok_or_else(malformed)?;
                self.only_user_certificates = point.check(id)?;
                self.distribution_point = Some(value);
            }
            _ if critical => return Err(unknown_critical("The revocation list", id)),
            _ => {}
        }
        Ok(())
    }
}

/// What an issuing distribution point (RFC 5280 section 5.2.5) says beside where the list is.
struct DistributionPoint {
    only_user_certificates: bool,
    only_ca_certificates: bool,
    only_some_reasons: bool,
    indirect: bool,
    only_attribute_certificates: bool,
}

impl DistributionPoint {
    fn read(value: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
        fields.take_optional(0xa0)?;
        let only_user_certificates = boolean(fields.take_optional(0x81)?)?;
        let only_ca_certificates = boolean(fields.take_optional(0x82)?)?;
        let only_some_reasons = fields.take_optional(0x83)?.is_some();
        let indirect = boolean(fields.take_optional(0x84)?)?;
        let only_attribute_certificates = boolean(fields.take_optional(0x85)?)?;
        fields.at_end().then_some(Self {
            only_user_certificates,
            only_ca_certificates,
            only_some_reasons,
            indirect,
            only_attribute_certificates,
        })
    }

    /// Whether the list is of user certificates only; it must not be narrower.
    fn check(&self, id: &[u8]) -> Result<bool, CrlRejection> {
        let unsupported = [
            (
                self.indirect,
                "is indirect (it speaks of other CAs' certificates, `indirectCRL`)",
            ),
            (
                self.only_some_reasons,
                "is of some reasons only (`onlySomeReasons`)",
            ),
            (
                self.only_ca_certificates,
                "is of CA certificates only (`onlyContainsCACerts`)",
            ),
            (
                self.only_attribute_certificates,
                "is of attribute certificates only (`onlyContainsAttributeCerts`)",
            ),
        ];
        if let Some((_, what)) = unsupported.iter().find(|(said, _)| *said) {
            let id = ObjectId::new(id);
            return Err(CrlRejection::unsupported(format!("{what}: {id}")));
        }
        Ok(self.only_user_certificates)
    }
}

/// The reason that an entry's extensions give.
pub(super) fn entry_reason(list: &[u8]) -> Result<Option<u8>, CrlRejection> {
    let mut reason = None;
    each::<MAX_ENTRY_EXTENSIONS>(list, |id, critical, value| {
        match id.strip_prefix(STANDARD_EXTENSION) {
            Some([21]) => match der::only(value, 0x0a) {
                Some([REMOVE_FROM_CRL]) => {
                    let what =
                        "has an entry with the reason `removeFromCRL`, which only a delta list has";
                    return Err(CrlRejection::unsupported(what));
                }
                Some([number @ (0..=6 | 9 | 10)]) => reason = Some(*number),
                _ => {
                    return Err(CrlRejection::malformed(
                        "an entry's reasonCode is malformed",
                    ));
                }
            },
            Some([29]) => {
                let id = ObjectId::new(id);
                let what = format!("is indirect (an entry names another issuer): {id}");
                return Err(CrlRejection::unsupported(what));
            }
            _ if critical => return Err(unknown_critical("An entry of the revocation list", id)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(reason)
}

/// Hands each extension on, at most so many, none of them twice (RFC 5280 section 4.2).
fn each<'a, const MOST: usize>(
    list: &'a [u8],
    mut note: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), CrlRejection>,
) -> Result<(), CrlRejection> {
    let mut seen: [&[u8]; MOST] = [&[]; MOST];
    let mut reader = Reader::new(list);
    for read in 0.. {
        if reader.at_end() {
            break;
        }
        let (id, critical, value) = extension(&mut reader)
            .ok_or_else(|| CrlRejection::malformed("an extension is malformed"))?;
        if seen.iter().take(read).any(|earlier| *earlier == id) {
            let id = ObjectId::new(id);
            return Err(CrlRejection::malformed(&format!(
                "its extension {id} is there twice"
            )));
        }
        let too_many = || CrlRejection::malformed("it has too many extensions");
        *seen.get_mut(read).ok_or_else(too_many)? = id;
        note(id, critical, value)?;
    }
    Ok(())
}

/// RFC 5280 sections 5.2 and 5.3: what is critical and not known must not be relied upon.
fn unknown_critical(whose: &str, id: &[u8]) -> CrlRejection {
    let id = ObjectId::new(id);
    CrlRejection::new(
        format!("{whose} has a critical extension that is not processed here: {id}."),
        "Have the CA issue its list without it, or not critical.",
    )
}
