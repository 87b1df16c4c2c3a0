//! The fields of a certificate that the path rules look at and that webpki keeps to itself: key
//! identifiers, validity, key usage, the public key's kind and size.
//!
//! This is not the certificate's only reader: `path` reads the same bytes with webpki, and both
//! must agree before anything is permitted (`certificate::agreement` holds them to that).

mod extensions;
mod malformed;
mod names;

pub(crate) use self::{
    extensions::{Extensions, authority_key, boolean, extension},
    names::NameLoad,
};
pub use malformed::Malformed;

use crate::{
    der::{self, Reader},
    key::PublicKey,
};

/// A certificate, borrowed from its DER.
pub(crate) struct Certificate<'a> {
    /// Contents of its serial number.
    pub(crate) serial: &'a [u8],
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

/// `[0]` of a certificate, which wraps its version.
const VERSION: u8 = 0xa0;
/// The integer 2, which means version 3.
const VERSION_3: &[u8] = &[der::INTEGER, 1, 2];
/// `[3]` of a certificate, which wraps its extensions.
const EXTENSIONS: u8 = 0xa3;

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let whole =
            der::only(der, der::SEQUENCE).ok_or(Malformed::of("it is not one DER sequence"))?;
        let signed = Reader::new(whole)
            .take(der::SEQUENCE)
            .ok_or(Malformed::of("its signed part is malformed"))?;
        let mut fields = Reader::new(signed);
        if fields.take(VERSION) != Some(VERSION_3) {
            return Err(Malformed::of("it is not an X.509 version 3 certificate"));
        }
        Self::read_fields(&mut fields)
    }

    fn read_fields(fields: &mut Reader<'a>) -> Result<Self, Malformed> {
        let malformed = Malformed::of;
        let serial = fields
            .take(der::INTEGER)
            .ok_or(malformed("its serial number is malformed"))?;
        fields
            .take(der::SEQUENCE)
            .ok_or(malformed("its signature algorithm is malformed"))?;
        let issuer = name(fields).ok_or(malformed("its issuer is malformed"))?;
        let (not_before, not_after) =
            validity(fields).ok_or(malformed("its validity is malformed"))?;
        let subject = name(fields).ok_or(malformed("its subject is malformed"))?;
        let key = public_key(fields).ok_or(malformed("its public key is malformed"))?;
        let list = fields
            .take_optional(EXTENSIONS)
            .ok_or(malformed("its extensions are malformed"))?;
        let extensions = match list {
            Some(list) => {
                let list = der::only(list, der::SEQUENCE);
                Extensions::read(list.ok_or(malformed("its extensions are malformed"))?)?
            }
            None => Extensions::default(),
        };
        if !fields.at_end() {
            return Err(malformed("it has a field after its extensions"));
        }
        Ok(Self {
            serial,
            issuer,
            subject,
            key,
            not_before,
            not_after,
            extensions,
        })
    }

    /// Whether subject and issuer are the same name (RFC 5280 section 6.1).
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The kind and size of its key.
    pub(crate) fn public_key(&self) -> PublicKey<'a> {
        PublicKey::read(self.key)
    }
}

/// The contents of a name (RFC 5280 section 4.1.2.4), read to the last attribute: a reader that
/// stops at what it does not know would show, and give to policies, only the beginning of it.
pub(crate) fn name<'a>(fields: &mut Reader<'a>) -> Option<&'a [u8]> {
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

fn validity(fields: &mut Reader<'_>) -> Option<(u64, u64)> {
    let mut validity = Reader::new(fields.take(der::SEQUENCE)?);
    let times = (der::time(&mut validity)?, der::time(&mut validity)?);
    validity.at_end().then_some(times)
}

/// The contents of the public key info. Nothing may stand after the key: some readers would leave
/// it out of what they compare.
fn public_key<'a>(fields: &mut Reader<'a>) -> Option<&'a [u8]> {
    let info = fields.take(der::SEQUENCE)?;
    let mut parts = Reader::new(info);
    parts.take(der::SEQUENCE)?;
    parts.take(der::BIT_STRING)?;
    parts.at_end().then_some(info)
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
}
