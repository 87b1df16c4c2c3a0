//! Distinguished Encoding Rules, as little of them as reading a certificate's fields takes.
//!
//! Strict where leniency could make two readers disagree: one-byte tags, shortest lengths, values
//! below 64 KiB (the bound that webpki has too). Reading borrows and allocates nothing.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value, without taking it.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next value, whatever its tag: the tag and the contents.
    pub(crate) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        // X.690 section 8.1.2.4: these five bits announce a tag of several bytes, which no
        // certificate field has.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = length(rest)?;
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// Takes the next value, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, contents) = ahead.any()?;
        (found == tag).then(|| {
            *self = ahead;
            contents
        })
    }

    /// Takes the next value, which must have this tag and may have 64 KiB or more: only revocation
    /// lists do.
    pub(crate) fn take_long(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (length, rest) = long_length(rest)?;
        let (contents, rest) = rest.split_at_checked(length)?;
        (found == tag).then(|| {
            self.0 = rest;
            contents
        })
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Takes the next value if it has this tag; `Some(None)` when the next one has another.
    pub(crate) fn take_optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.peek() == Some(tag) {
            return self.take(tag).map(Some);
        }
        Some(None)
    }
}

/// The only value in these bytes, which must have this tag and nothing after it.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let contents = reader.take(tag)?;
    reader.at_end().then_some(contents)
}

/// A value with its tag and its length before it; nothing of one that is too long to be read here.
pub(crate) fn wrapped(tag: u8, contents: &[u8]) -> Vec<u8> {
    let Ok(length) = u16::try_from(contents.len()) else {
        return Vec::new();
    };
    let [high, low] = length.to_be_bytes();
    let header: &[u8] = match length {
        0..=0x7f => &[tag, low],
        0x80..=0xff => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [header, contents].concat()
}

/// A length in its shortest form (X.690 section 10.1), and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short @ 0..=0x7f, ref rest @ ..] => Some((usize::from(short), rest)),
        [0x81, one @ 0x80..=0xff, ref rest @ ..] => Some((usize::from(one), rest)),
        [0x82, high @ 1..=0xff, low, ref rest @ ..] => {
            Some((usize::from(u16::from_be_bytes([high, low])), rest))
        }
        _ => None,
    }
}

/// A length in its shortest form, of any number of bytes below 4 GiB, and what follows it.
pub(crate) fn long_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (long, rest) = match *bytes {
        [0x83, high @ 1..=0xff, middle, low, ref rest @ ..] => ([0, high, middle, low], rest),
        [0x84, high @ 1..=0xff, b, c, low, ref rest @ ..] => ([high, b, c, low], rest),
        _ => return length(bytes),
    };
    Some((usize::try_from(u32::from_be_bytes(long)).ok()?, rest))
}

/// Seconds since 1970 of a `UTCTime` or `GeneralizedTime` (RFC 5280 section 4.1.2.5), 0 for all
/// before; `None` for another form.
pub(crate) fn time(reader: &mut Reader<'_>) -> Option<u64> {
    let (tag, text) = reader.any()?;
    let (century, text) = match tag {
        UTC_TIME => {
            let century = if two_digits(text)? >= 50 { 19 } else { 20 };
            (century, text)
        }
        GENERALIZED_TIME => (two_digits(text)?, text.get(2..)?),
        _ => return None,
    };
    let mut fields = text.chunks(2);
    let mut field = |from: u64, to: u64| {
        let value = fields.next().and_then(two_digits)?;
        (from..=to).contains(&value).then_some(value)
    };
    let year = century * 100 + field(0, 99)?;
    let month = field(1, 12)?;
    let day = field(1, days_in_month(year, month))?;
    let (hour, minute, second) = (field(0, 23)?, field(0, 59)?, field(0, 59)?);
    if fields.next() != Some(b"Z") || fields.next().is_some() {
        return None;
    }
    let Some(days) = days_since_1970(year, month, day) else {
        return Some(0);
    };
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn two_digits(text: &[u8]) -> Option<u64> {
    match *text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => {
            Some(u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
        }
        _ => None,
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let whole_years = year.checked_sub(1970)?;
    let before = year - 1;
    // Leap days up to a year, less the 477 of the years 1 to 1969.
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let months: u64 = (1..month).map(|earlier| days_in_month(year, earlier)).sum();
    Some(whole_years * 365 + leap_days + months + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_time(tag: u8, text: &str) -> Option<u64> {
        let mut bytes = vec![tag, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        time(&mut Reader::new(&bytes))
    }

    #[test]
    fn times_are_read_as_rfc_5280_writes_them() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "240229235959Z", Some(1_709_251_199)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "991231235959Z", Some(946_684_799)),
            (UTC_TIME, "691231235959Z", Some(0)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "00000101000000Z", Some(0)),
            (UTC_TIME, "690229000000Z", None),
            (GENERALIZED_TIME, "20000301000000Z", Some(951_868_800)),
            (GENERALIZED_TIME, "21000228235959Z", Some(4_107_542_399)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (GENERALIZED_TIME, "21000229000000Z", None),
            (UTC_TIME, "230229000000Z", None),
            (UTC_TIME, "240100000000Z", None),
            (UTC_TIME, "241301000000Z", None),
            (UTC_TIME, "240101240000Z", None),
            (UTC_TIME, "240101006000Z", None),
            (UTC_TIME, "240101000060Z", None),
            (UTC_TIME, "2401010000Z", None),
            (UTC_TIME, "240101000000+0100", None),
            (UTC_TIME, "240101000000ZZ", None),
            (UTC_TIME, "24010100000 Z", None),
            (GENERALIZED_TIME, "20240101000000.5Z", None),
            (OCTET_STRING, "240101000000Z", None),
        ] {
            assert_eq!(read_time(tag, text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_shortest_length_is_a_length() {
        assert!(only(&[SEQUENCE, 0], SEQUENCE).is_some());
        assert!(only(&[SEQUENCE, 1, 0], SEQUENCE).is_some());
        assert!(only(&[SEQUENCE, 1], SEQUENCE).is_none());
        assert!(only(&[SEQUENCE, 0, 0], SEQUENCE).is_none());
        assert!(only(&[SEQUENCE, 0x80, 0, 0], SEQUENCE).is_none());
        assert!(only(&[SEQUENCE, 0x81, 1, 0], SEQUENCE).is_none());
        assert!(only(&[SEQUENCE, 0x82, 0, 1, 0], SEQUENCE).is_none());
        assert!(only(&[0x3f, 0], 0x3f).is_none());
        let mut long = vec![SEQUENCE, 0x81, 0x80];
        long.resize(3 + 0x80, 0);
        assert_eq!(only(&long, SEQUENCE).unwrap().len(), 0x80);
        let mut longer = vec![SEQUENCE, 0x82, 1, 0];
        longer.resize(4 + 0x100, 0);
        assert_eq!(only(&longer, SEQUENCE).unwrap().len(), 0x100);
    }

    #[test]
    fn long_values_have_the_shortest_length_too() {
        for (header, length, fits) in [
            (&[SEQUENCE, 0x83, 1, 0, 0][..], 0x1_0000, true),
            (&[SEQUENCE, 0x84, 1, 0, 0, 0], 0x100_0000, true),
            (&[SEQUENCE, 0x82, 1, 0], 0x100, true),
            (&[SEQUENCE, 0x83, 0, 1, 0], 0x100, false),
            (&[SEQUENCE, 0x84, 0, 1, 0, 0], 0x1_0000, false),
            (&[SEQUENCE, 0x85, 1, 0, 0, 0, 0], 0x1_0000, false),
            (&[SET, 0x83, 1, 0, 0], 0x1_0000, false),
        ] {
            let mut bytes = header.to_vec();
            bytes.resize(header.len() + length, 0);
            let read = Reader::new(&bytes).take_long(SEQUENCE);
            assert_eq!(read.map(<[u8]>::len), fits.then_some(length), "{header:x?}");
            assert!(length < 0x1_0000 || Reader::new(&bytes).take(SEQUENCE).is_none());
            bytes.pop();
            assert!(Reader::new(&bytes).take_long(SEQUENCE).is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.any().is_some() {}
            let _ = time(&mut Reader::new(&bytes));
        }
    }
}
