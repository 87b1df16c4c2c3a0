//! What a field block is made of (RFC 7541): integers, strings, and the table of fields that a client
//! refers to. Of a field the table keeps what a later one needs of it, and no text.

use std::{borrow::Cow, collections::VecDeque};

use super::{
    field::{HeadFault, Name},
    huffman::{self, Undecodable},
};

/// The size of the table, as long as nobody asks for another (RFC 9113 section 6.5.2), and the largest
/// that a client may choose.
const MAX_TABLE: usize = 4_096;

/// What each field takes in the table besides its text (RFC 7541 section 4.1).
const ENTRY: usize = 32;

/// No integer has more octets: `h2` reads no larger ones.
const MAX_INTEGER: usize = 5;

/// How a field is written (RFC 7541 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Representation {
    /// By the index of a field in the table.
    Indexed,
    /// As text, to be put into the table.
    Inserted,
    /// As text.
    Literal,
    /// No field: another size of the table.
    Resized,
}

impl Representation {
    const fn of(first: u8) -> Self {
        match first {
            0x80.. => Self::Indexed,
            0x40.. => Self::Inserted,
            0x20.. => Self::Resized,
            _ => Self::Literal,
        }
    }

    /// How many bits of its first octet belong to the integer that it begins with.
    const fn prefix(self) -> u32 {
        match self {
            Self::Indexed => 7,
            Self::Inserted => 6,
            Self::Resized => 5,
            Self::Literal => 4,
        }
    }
}

/// Reads a block from its begin to its end.
#[derive(Debug)]
pub(super) struct Reader<'block> {
    pub(super) rest: &'block [u8],
}

impl<'block> Reader<'block> {
    /// The next representation, and the integer with which it begins.
    pub(super) fn begin(&mut self) -> Result<(Representation, usize), Undecodable> {
        let representation = self.rest.first().copied().map(Representation::of);
        let representation = representation.ok_or(Undecodable)?;
        Ok((representation, self.integer(representation.prefix())?))
    }

    /// An integer, of whose first octet that many bits are its own (RFC 7541 section 5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, Undecodable> {
        let mask = (1_usize << prefix) - 1;
        let mut integer = usize::from(self.octet()?) & mask;
        if integer < mask {
            return Ok(integer);
        }
        for shift in (0..).step_by(7).take(MAX_INTEGER - 1) {
            let octet = self.octet()?;
            integer += usize::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(integer);
            }
        }
        Err(Undecodable)
    }

    fn octet(&mut self) -> Result<u8, Undecodable> {
        let (first, rest) = self.rest.split_first().ok_or(Undecodable)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A string (RFC 7541 section 5.2).
    pub(super) fn string(&mut self) -> Result<Text<'block>, Undecodable> {
        let is_huffman = self.rest.first().is_some_and(|octet| *octet >= 0x80);
        let length = self.integer(7)?;
        let (octets, rest) = self.rest.split_at_checked(length).ok_or(Undecodable)?;
        self.rest = rest;
        Ok(Text { octets, is_huffman })
    }
}

/// A string as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'block> {
    octets: &'block [u8],
    is_huffman: bool,
}

impl<'block> Text<'block> {
    /// What it says.
    pub(super) fn decode(self) -> Result<Cow<'block, [u8]>, Undecodable> {
        if !self.is_huffman {
            return Ok(Cow::Borrowed(self.octets));
        }
        let mut decoded = Vec::with_capacity(self.octets.len() * 8 / 5);
        self.each(|octet| decoded.push(octet))?;
        Ok(Cow::Owned(decoded))
    }

    /// Gives each octet of what it says.
    pub(super) fn each(self, octet: impl FnMut(u8)) -> Result<(), Undecodable> {
        if self.is_huffman {
            huffman::decode(self.octets, octet)
        } else {
            self.octets.iter().copied().for_each(octet);
            Ok(())
        }
    }
}

/// Writes an integer after the bits that say what it belongs to.
pub(crate) fn write_integer(first: u8, prefix: u32, integer: usize, block: &mut Vec<u8>) {
    let mask = (1_usize << prefix) - 1;
    let octet = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    if integer < mask {
        return block.push(first | octet(integer));
    }
    block.push(first | octet(mask));
    let mut left = integer - mask;
    while left > 0x7f {
        block.push(0x80 | octet(left & 0x7f));
        left >>= 7;
    }
    block.push(octet(left));
}

/// Writes a string as it is.
pub(crate) fn write_string(string: &[u8], block: &mut Vec<u8>) {
    write_integer(0, 7, string.len(), block);
    block.extend_from_slice(string);
}

/// What is known of a field in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) name_length: usize,
    pub(super) value_length: usize,
    /// Why no request may have it.
    pub(super) fault: Option<HeadFault>,
}

impl Entry {
    const fn size(self) -> usize {
        self.name_length + self.value_length + ENTRY
    }
}

/// The fields that a client may refer to by their index (RFC 7541 section 2.3).
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max: MAX_TABLE,
        }
    }

    pub(super) fn get(&self, index: usize) -> Result<Entry, Undecodable> {
        let index = index.checked_sub(1).ok_or(Undecodable)?;
        match index.checked_sub(STATIC.len()) {
            Some(index) => self.entries.get(index).copied().ok_or(Undecodable),
            None => {
                let name = STATIC.get(index).ok_or(Undecodable)?;
                Ok(Entry {
                    name: Name::of(name.as_bytes()),
                    name_length: name.len(),
                    // None of them is wrong, and none is put into the table again.
                    value_length: 0,
                    fault: None,
                })
            }
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.shrink(self.max.saturating_sub(entry.size()));
        // What is larger than the whole table empties it, and is not in it.
        if entry.size() <= self.max {
            self.size += entry.size();
            self.entries.push_front(entry);
        }
    }

    pub(super) fn resize(&mut self, max: usize) -> Result<(), Undecodable> {
        if max > MAX_TABLE {
            return Err(Undecodable);
        }
        self.max = max;
        self.shrink(max);
        Ok(())
    }

    fn shrink(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }
}

/// The names of the fields that every table begins with (RFC 7541 appendix A).
#[rustfmt::skip]
const STATIC: [&str; 61] = [
    ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme", ":status", ":status",
    ":status", ":status", ":status", ":status", ":status", "accept-charset", "accept-encoding",
    "accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow",
    "authorization", "cache-control", "content-disposition", "content-encoding", "content-language",
    "content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag",
    "expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate",
    "proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie",
    "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_are_written() {
        for (prefix, first) in [(7, 0x80), (6, 0x40), (5, 0x20), (4, 0)] {
            for integer in [
                0, 1, 14, 15, 16, 30, 31, 126, 127, 128, 254, 255, 1_337, 200_000,
            ] {
                let mut block = Vec::new();
                write_integer(first, prefix, integer, &mut block);
                let mut reader = Reader { rest: &block };
                let (representation, read) = reader.begin().unwrap();
                assert_eq!((representation.prefix(), read), (prefix, integer));
                assert!(reader.rest.is_empty());
                // RFC 7541 appendix C.1.2.
                assert!(integer != 1_337 || prefix != 5 || block == [0x3f, 0x9a, 0x0a]);
            }
        }
        let endless = [0xff; 6];
        assert!(Reader { rest: &endless }.begin().is_err());
        assert!(
            Reader {
                rest: &[0xff, 0x80]
            }
            .begin()
            .is_err()
        );
    }

    #[test]
    fn the_oldest_fields_make_room() {
        let entry = |value_length| Entry {
            name: Name::Other,
            name_length: 10,
            value_length,
            fault: None,
        };
        let mut table = Table::new();
        for length in 0..200 {
            table.insert(entry(length));
            assert!(table.size <= MAX_TABLE);
        }
        assert_eq!(table.get(62).unwrap().value_length, 199);
        let kept = table.entries.len();
        assert_eq!(table.get(61 + kept).unwrap().value_length, 200 - kept);
        assert!(table.get(62 + kept).is_err() && table.get(0).is_err());
        table.insert(entry(MAX_TABLE));
        assert!(table.entries.is_empty() && table.size == 0);
        table.insert(entry(1));
        table.resize(0).unwrap();
        assert!(table.get(62).is_err());
        assert!(table.resize(MAX_TABLE + 1).is_err());
    }
}
