//! A revocation list, read up to its entries.

use countersign_types::UnixSeconds;

use super::{extensions::ListExtensions, rejection::CrlRejection};
use crate::{
    der::{self, Reader},
    x509,
};

/// The integer 1, which means version 2.
const VERSION_2: &[u8] = &[1];
/// `[0]` of a list, which wraps its extensions.
const EXTENSIONS: u8 = 0xa0;

/// A list's fields (RFC 5280 section 5.1), borrowed from its DER.
pub(super) struct Outline<'a> {
    /// What is signed, its header included.
    pub(super) signed: &'a [u8],
    /// Contents of the signature's algorithm.
    pub(super) algorithm: &'a [u8],
    /// The bits of the signature.
    pub(super) signature: &'a [u8],
    /// Contents of the issuer's name.
    pub(super) issuer: &'a [u8],
    pub(super) this_update: UnixSeconds,
    pub(super) next_update: UnixSeconds,
    /// Whether entries may have extensions.
    pub(super) version_2: bool,
    /// The entries, unread.
    pub(super) entries: &'a [u8],
    pub(super) extensions: ListExtensions<'a>,
}

impl<'a> Outline<'a> {
    /// Reads a list; its entries and its signature are left alone.
    pub(super) fn read(der: &'a [u8]) -> Result<Self, CrlRejection> {
        let malformed = CrlRejection::malformed;
        let mut reader = Reader::new(der);
        let whole = reader
            .take_long(der::SEQUENCE)
            .ok_or_else(|| cut_short(der))?;
        if !reader.at_end() {
            return Err(malformed("something follows it"));
        }
        let mut parts = Reader::new(whole);
        let before = parts.rest();
        let contents = parts
            .take_long(der::SEQUENCE)
            .ok_or_else(|| malformed("its signed part is malformed"))?;
        let signed = before
            .get(..before.len() - parts.rest().len())
            .unwrap_or_default();
        let algorithm = parts.take(der::SEQUENCE);
        let signature = parts.take(der::BIT_STRING);
        let (Some(algorithm), Some([0, signature @ ..]), true) =
            (algorithm, signature, parts.at_end())
        else {
            return Err(malformed("its signature is malformed"));
        };
        let list = Self::read_fields(contents)?;
        // RFC 5280 section 5.1.1.2.
        if list.algorithm != algorithm {
            return Err(malformed("it names two different signature algorithms"));
        }
        Ok(Self {
            signed,
            signature,
            ..list
        })
    }

    fn read_fields(contents: &'a [u8]) -> Result<Self, CrlRejection> {
        let malformed = CrlRejection::malformed;
        let mut fields = Reader::new(contents);
        let version = fields.take_optional(der::INTEGER).flatten();
        if version.is_some_and(|version| version != VERSION_2) {
            return Err(malformed("it is neither of version 1 nor of version 2"));
        }
        let algorithm = fields
            .take(der::SEQUENCE)
            .ok_or_else(|| malformed("its signature algorithm is malformed"))?;
        let issuer = x509::name(&mut fields).ok_or_else(|| malformed("its issuer is malformed"))?;
        let this_update =
            der::time(&mut fields).ok_or_else(|| malformed("its thisUpdate is malformed"))?;
        let next_update = next_update(&mut fields)?;
        let entries = match fields.peek() {
            Some(der::SEQUENCE) => fields
                .take_long(der::SEQUENCE)
                .ok_or_else(|| malformed("its entries are malformed"))?,
            _ => &[],
        };
        let version_2 = version.is_some();
        let extensions = read_extensions(&mut fields, version_2)?;
        Ok(Self {
            signed: &[],
            algorithm,
            signature: &[],
            issuer,
            this_update,
            next_update,
            version_2,
            entries,
            extensions,
        })
    }
}

/// RFC 5280 section 5.1.2.5: always there, although X.509 lets it out.
fn next_update(fields: &mut Reader<'_>) -> Result<UnixSeconds, CrlRejection> {
    if !matches!(fields.peek(), Some(der::UTC_TIME | der::GENERALIZED_TIME)) {
        return Err(CrlRejection::new(
            "The revocation list has no nextUpdate, so nobody can tell when it is out of date.",
            "Have the CA issue its list with one, as RFC 5280 section 5.1.2.5 requires.",
        ));
    }
    der::time(fields).ok_or_else(|| CrlRejection::malformed("its nextUpdate is malformed"))
}

fn read_extensions<'a>(
    fields: &mut Reader<'a>,
    version_2: bool,
) -> Result<ListExtensions<'a>, CrlRejection> {
    let malformed = CrlRejection::malformed;
    let wrapped = fields
        .take_optional(EXTENSIONS)
        .filter(|_| fields.at_end())
        .ok_or_else(|| malformed("its extensions are malformed"))?;
    match wrapped {
        None => Ok(ListExtensions::default()),
        Some(_) if !version_2 => Err(malformed("it is of version 1 and has extensions")),
        Some(wrapped) => {
            let list = der::only(wrapped, der::SEQUENCE);
            let list = list.ok_or_else(|| malformed("its extensions are malformed"))?;
            ListExtensions::read(list)
        }
    }
}

/// Bytes that are no DER sequence, or end before it does.
fn cut_short(der: &[u8]) -> CrlRejection {
    let announced = match der {
        [der::SEQUENCE, rest @ ..] => der::long_length(rest),
        _ => None,
    };
    match announced {
        Some((length, rest)) => CrlRejection::new(
            format!(
                "The revocation list is cut short: it should have {length} bytes more than its header, and {} \
                 are there.",
                rest.len()
            ),
            "Send the whole file.",
        ),
        None => CrlRejection::malformed("it is not one DER sequence"),
    }
}
