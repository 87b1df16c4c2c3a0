//! The entries of a revocation list, made into a set.

use countersign_types::revoked_set::{
    MAX_REVOKED, NotASet, Record, Revocation, RevokedSet, record,
};
use data_encoding::HEXUPPER;

use super::{extensions::entry_reason, outline::Outline, rejection::CrlRejection};
use crate::der::{self, Reader};

/// The most bytes of a serial number that are shown: as many as RFC 5280 section 4.1.2.2 allows.
const MAX_SHOWN: usize = 20;

/// Reads every entry once, and sorts them.
pub(super) fn read(list: &Outline<'_>) -> Result<RevokedSet, CrlRejection> {
    let mut records = Vec::new();
    each(list, |serial, revocation| {
        if records.len() == MAX_REVOKED {
            return Err(too_many());
        }
        records.push(record(serial, revocation));
        Ok(())
    })?;
    records.sort_unstable();
    let pairs = records.iter().zip(records.iter().skip(1));
    let twice = pairs.into_iter().find(|(one, next)| is_same(one, next));
    if let Some((twice, _)) = twice {
        return Err(named_twice(list, twice));
    }
    RevokedSet::new(records).map_err(|error| match error {
        NotASet::TooMany => too_many(),
        NotASet::Length | NotASet::Order(_) => CrlRejection::malformed("an entry is there twice"),
    })
}

/// Hands on each entry's serial number, and what is said of it.
fn each(
    list: &Outline<'_>,
    mut note: impl FnMut(&[u8], Revocation) -> Result<(), CrlRejection>,
) -> Result<(), CrlRejection> {
    let malformed = || CrlRejection::malformed("an entry is malformed");
    let mut entries = Reader::new(list.entries);
    while !entries.at_end() {
        let entry = entries.take(der::SEQUENCE).ok_or_else(malformed)?;
        let mut fields = Reader::new(entry);
        let serial = fields.take(der::INTEGER).ok_or_else(malformed)?;
        let at = der::time(&mut fields).ok_or_else(malformed)?;
        let extensions = fields.take_optional(der::SEQUENCE).ok_or_else(malformed)?;
        if serial.is_empty() || !fields.at_end() {
            return Err(malformed());
        }
        let reason = match extensions {
            None => None,
            Some(_) if !list.version_2 => return Err(malformed()),
            Some(extensions) => entry_reason(extensions)?,
        };
        note(serial, Revocation { at, reason })?;
    }
    Ok(())
}

/// Whether two records are of one serial number.
fn is_same(one: &Record, other: &Record) -> bool {
    let [one, other] = [one, other].map(|record| record.first_chunk::<16>());
    one == other
}

fn too_many() -> CrlRejection {
    CrlRejection::new(
        format!("The revocation list has more than {MAX_REVOKED} entries."),
        "Have the CA drop the entries of certificates that have expired.",
    )
}

/// The serial number of a record, looked for once more, since the record has only its digest.
fn named_twice(list: &Outline<'_>, twice: &Record) -> CrlRejection {
    let mut shown = String::new();
    // It went well before, so it does again.
    let _ = each(list, |serial, revocation| {
        if shown.is_empty() && is_same(&record(serial, revocation), twice) {
            shown = HEXUPPER.encode(serial.get(..MAX_SHOWN).unwrap_or(serial));
        }
        Ok(())
    });
    CrlRejection::new(
        format!("The revocation list names the serial number {shown} twice."),
        "Have the CA issue its list again: each certificate is in it once.",
    )
}
