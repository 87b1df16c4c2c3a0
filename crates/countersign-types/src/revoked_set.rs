//! The serial numbers that a revocation list holds, as gateways get and keep them: not the list, but
//! one record of 21 bytes for each entry, sorted, so that a million of them take 21 MB and are ready
//! once they are read.
//!
//! A record is the first 16 bytes of the SHA-256 of the serial number, when it was revoked (Unix
//! seconds, four bytes, big-endian) and why (one byte). A set holds one issuer's serial numbers, and
//! that issuer alone chose them. To make another's certificate appear in a set takes a certificate
//! of the same issuer whose serial number has the same 128 bits: a second preimage, if somebody else
//! issued it. An issuer that looks for two of its own that collide refuses its own certificates,
//! which it can do by listing them.

use std::{cmp::Ordering, fmt};

use crate::{UnixSeconds, digest::Sha256};

/// The most serial numbers that a set may hold.
pub const MAX_REVOKED: usize = 1_000_000;
/// The bytes of one record.
pub const RECORD_BYTES: usize = DIGEST_BYTES + 5;
/// How much of a serial number's SHA-256 is kept.
const DIGEST_BYTES: usize = 16;
/// The reason of an entry that gives none. RFC 5280 section 5.3.1 has no such number.
const NO_REASON: u8 = 0xff;
/// Sets begin to have a table of contents at this many records.
const RECORDS_OF_A_SLOT: usize = 16;

/// One entry as it is written in a set.
pub type Record = [u8; RECORD_BYTES];

/// When a certificate was revoked, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When, in Unix seconds; 0 for all before 1970, and at most the year 2106.
    pub at: UnixSeconds,
    /// Why, if the list says: a number of RFC 5280 section 5.3.1.
    pub reason: Option<u8>,
}

impl Revocation {
    /// The reason's name in RFC 5280 section 5.3.1.
    #[must_use]
    pub const fn reason_name(self) -> Option<&'static str> {
        match self.reason {
            None => None,
            Some(number) => Some(match number {
                0 => "unspecified",
                1 => "keyCompromise",
                2 => "cACompromise",
                3 => "affiliationChanged",
                4 => "superseded",
                5 => "cessationOfOperation",
                6 => "certificateHold",
                9 => "privilegeWithdrawn",
                10 => "aACompromise",
                _ => "a reason without a name",
            }),
        }
    }
}

/// A record of one entry. `serial` is the contents of an INTEGER in DER.
#[must_use]
pub fn record(serial: &[u8], revocation: Revocation) -> Record {
    let mut record = [0; RECORD_BYTES];
    let at = u32::try_from(revocation.at).unwrap_or(u32::MAX);
    let reason = revocation.reason.unwrap_or(NO_REASON);
    let digest = digest(serial);
    let parts = digest.into_iter().chain(at.to_be_bytes()).chain([reason]);
    for (to, from) in record.iter_mut().zip(parts) {
        *to = from;
    }
    record
}

/// What of a serial number is compared. One that is written with more bytes than it needs is the
/// same number.
fn digest(serial: &[u8]) -> [u8; DIGEST_BYTES] {
    let sha256 = Sha256::of(shortest(serial));
    let mut digest = [0; DIGEST_BYTES];
    for (to, from) in digest.iter_mut().zip(sha256.as_bytes()) {
        *to = *from;
    }
    digest
}

/// The shortest form of an INTEGER's contents (X.690 section 8.3.2).
fn shortest(mut contents: &[u8]) -> &[u8] {
    while let [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] = contents {
        contents = contents.get(1..).unwrap_or_default();
    }
    contents
}

/// One issuer's revoked serial numbers.
#[derive(Clone)]
pub struct RevokedSet {
    records: Vec<u8>,
    /// At which record those begin whose first bits are the index, and where the last ends.
    slots: Vec<u32>,
    /// How many of a digest's first 32 bits are not in that index.
    shift: u32,
    sha256: Sha256,
}

/// Why bytes are not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASet {
    /// Not a whole number of records.
    #[error("it is not a whole number of records of {RECORD_BYTES} bytes")]
    Length,
    /// More than there may be.
    #[error("it has more than {MAX_REVOKED} records")]
    TooMany,
    /// Out of order, or one twice: the position of the second of the two records.
    #[error("its record {0} does not come after the one before it")]
    Order(usize),
}

impl RevokedSet {
    /// The set of these records, in any order.
    ///
    /// # Errors
    /// Too many, or two of one serial number.
    pub fn new(mut records: Vec<Record>) -> Result<Self, NotASet> {
        records.sort_unstable();
        Self::read(records.into_flattened())
    }

    /// Reads a set as [`RevokedSet::as_bytes`] wrote it.
    ///
    /// # Errors
    /// Bytes that it never writes.
    pub fn read(records: Vec<u8>) -> Result<Self, NotASet> {
        let count = records.len() / RECORD_BYTES;
        if count * RECORD_BYTES != records.len() {
            return Err(NotASet::Length);
        }
        if count > MAX_REVOKED {
            return Err(NotASet::TooMany);
        }
        let digests = || records.chunks_exact(RECORD_BYTES).map(digest_of);
        let pairs = digests().zip(digests().skip(1));
        if let Some(before) = pairs.into_iter().position(|(one, next)| one >= next) {
            return Err(NotASet::Order(before + 1));
        }
        let bits = (count / RECORDS_OF_A_SLOT).checked_ilog2().unwrap_or(0);
        let shift = 32 - bits;
        let mut slots = Vec::with_capacity((1 << bits) + 1);
        for (number, digest) in (0_u32..).zip(digests()) {
            let slot = slot(digest, shift);
            while slots.len() <= slot {
                slots.push(number);
            }
        }
        let end = u32::try_from(count).unwrap_or(u32::MAX);
        slots.resize((1 << bits) + 1, end);
        Ok(Self {
            sha256: Sha256::of(&records),
            records,
            slots,
            shift,
        })
    }

    /// The bytes, from which [`RevokedSet::read`] makes the same set.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.records
    }

    /// The SHA-256 of those bytes, by which a set is known.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// How many serial numbers it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len() / RECORD_BYTES
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of a digest among those from one to another: sixteen or so, since digests are spread evenly,
    /// but all of them where a CA looked for serial numbers whose digests begin alike.
    fn search(&self, wanted: &[u8], mut from: usize, mut to: usize) -> Option<&[u8]> {
        while from < to {
            let middle = from.midpoint(to);
            let start = middle * RECORD_BYTES;
            let record = self.records.get(start..start + RECORD_BYTES)?;
            match digest_of(record).cmp(wanted) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Some(record),
            }
        }
        None
    }

    /// What it says of a serial number, the contents of an INTEGER in DER.
    #[must_use]
    pub fn find(&self, serial: &[u8]) -> Option<Revocation> {
        let wanted = digest(serial);
        let slot = slot(&wanted, self.shift);
        let from = usize::try_from(*self.slots.get(slot)?).ok()?;
        let to = usize::try_from(*self.slots.get(slot + 1)?).ok()?;
        let found = self.search(&wanted, from, to)?;
        let (at, reason) = found.get(DIGEST_BYTES..)?.split_first_chunk()?;
        let reason = *reason.first()?;
        Some(Revocation {
            at: u32::from_be_bytes(*at).into(),
            reason: (reason != NO_REASON).then_some(reason),
        })
    }
}

fn digest_of(record: &[u8]) -> &[u8] {
    record.get(..DIGEST_BYTES).unwrap_or_default()
}

/// The first bits of a digest.
fn slot(digest: &[u8], shift: u32) -> usize {
    let first = digest.first_chunk().copied().unwrap_or_default();
    let slot = u32::from_be_bytes(first).checked_shr(shift).unwrap_or(0);
    usize::try_from(slot).unwrap_or(0)
}

impl PartialEq for RevokedSet {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for RevokedSet {}

impl fmt::Debug for RevokedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevokedSet({} of {})", self.sha256, self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(at: UnixSeconds) -> Revocation {
        Revocation {
            at,
            reason: (!at.is_multiple_of(3)).then_some(1),
        }
    }

    #[test]
    fn what_is_in_it_is_found_and_nothing_else() {
        for count in [0_u32, 1, 2, 15, 16, 31, 32, 33, 1_000, 70_000] {
            let serials = || (0..count).map(|number| (number * 2).to_be_bytes());
            let records = serials().map(|serial| {
                let at = u32::from_be_bytes(serial).into();
                record(&serial, revocation(at))
            });
            let set = RevokedSet::new(records.collect()).unwrap();
            assert_eq!(set.len(), usize::try_from(count).unwrap());
            for number in 0..count * 2 {
                let expected = (number % 2 == 0).then(|| revocation(number.into()));
                assert_eq!(set.find(&number.to_be_bytes()), expected, "{number}");
            }
            let read = RevokedSet::read(set.as_bytes().to_vec()).unwrap();
            assert_eq!((&read, read.slots.len()), (&set, set.slots.len()));
        }
    }

    #[test]
    fn a_number_is_one_number_however_many_bytes_it_is_written_with() {
        let entry = |serial: &[u8]| record(serial, revocation(1));
        let set = RevokedSet::new(vec![entry(&[0, 0x80]), entry(&[0xff]), entry(&[0])]).unwrap();
        for (serial, found) in [
            (&[0, 0x80][..], true),
            (&[0, 0, 0, 0x80], true),
            (&[0x80], false),
            (&[0xff, 0xff], true),
            (&[0, 0xff], false),
            (&[0, 0], true),
            (&[], false),
        ] {
            assert_eq!(set.find(serial).is_some(), found, "{serial:?}");
        }
    }

    #[test]
    fn other_bytes_are_no_set() {
        let entry = |serial: u8| record(&[serial], revocation(1));
        assert_eq!(RevokedSet::read(vec![0; 20]), Err(NotASet::Length));
        let twice = vec![entry(1), entry(2), entry(1)];
        assert!(matches!(RevokedSet::new(twice), Err(NotASet::Order(_))));
        let sorted = RevokedSet::new(vec![entry(1), entry(2)]).unwrap();
        let (one, two) = sorted.as_bytes().split_at(RECORD_BYTES);
        assert_eq!(
            RevokedSet::read([two, one].concat()),
            Err(NotASet::Order(1))
        );
        let many = vec![0; (MAX_REVOKED + 1) * RECORD_BYTES];
        assert_eq!(RevokedSet::read(many), Err(NotASet::TooMany));
    }
}
