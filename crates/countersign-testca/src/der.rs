//! Writing the DER that a certificate needs. Nothing here checks that the result is valid, since
//! tests need certificates that are not.

/// Tags that certificates use.
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// `[n]` of a constructed value.
pub(crate) const fn constructed(n: u8) -> u8 {
    0xa0 | n
}

/// `[n]` of a primitive value.
pub(crate) const fn primitive(n: u8) -> u8 {
    0x80 | n
}

/// One element: tag, length, content.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if let Some(short) = u8::try_from(length).ok().filter(|length| *length < 0x80) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
        out.extend_from_slice(&significant);
    }
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of elements that are already DER.
#[must_use]
pub fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &elements.concat())
}

/// A non-negative INTEGER of big-endian bytes.
pub(crate) fn unsigned(big_endian: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = big_endian.iter().copied().skip_while(|b| *b == 0).collect();
    if content.first().is_none_or(|first| *first & 0x80 != 0) {
        content.insert(0, 0);
    }
    element(INTEGER, &content)
}

/// A BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// An OBJECT IDENTIFIER of its numbers.
pub(crate) fn oid(numbers: &[u64]) -> Vec<u8> {
    let mut content = Vec::new();
    let (first, rest) = match numbers {
        [a, b, rest @ ..] => (a * 40 + b, rest),
        _ => (0, numbers),
    };
    base128(first, &mut content);
    for number in rest {
        base128(*number, &mut content);
    }
    element(OID, &content)
}

fn base128(number: u64, out: &mut Vec<u8>) {
    let mut shift = 63;
    while shift > 0 && number >> shift == 0 {
        shift -= 7;
    }
    while shift > 0 {
        out.push(0x80 | seven_bits(number >> shift));
        shift -= 7;
    }
    out.push(seven_bits(number));
}

fn seven_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// A Time: UTCTime from 1950 to 2049, GeneralizedTime otherwise (RFC 5280 section 4.1.2.5).
pub(crate) fn time(unix_seconds: i64) -> Vec<u8> {
    let (year, month, day) = civil_date(unix_seconds.div_euclid(86_400));
    let second = unix_seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    if (1950..2050).contains(&year) {
        element(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        element(GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes())
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is a year's last day.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_1970_FROM_YEAR_0_MARCH: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + DAYS_TO_1970_FROM_YEAR_0_MARCH;
    let (era, day) = (
        days.div_euclid(DAYS_IN_400_YEARS),
        days.rem_euclid(DAYS_IN_400_YEARS),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (
        era * 400 + year + i64::from(month <= 2),
        month,
        day_of_month,
    )
}

/// The first element of `input`: its content, and what follows it.
pub(crate) fn read(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        let length = bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        (length, rest)
    };
    rest.split_at_checked(length)
}

/// PEM of one block, lines of 64 characters.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::{oid, time};

    #[test]
    fn times_are_the_calendar_s() {
        for (seconds, text) in [
            (0, "700101000000Z"),
            (951_782_400, "000229000000Z"),
            (2_524_607_999, "491231235959Z"),
            (2_524_608_000, "20500101000000Z"),
            (-631_152_001, "19491231235959Z"),
            (253_402_300_799, "99991231235959Z"),
        ] {
            assert_eq!(&time(seconds)[2..], text.as_bytes(), "{seconds}");
        }
    }

    #[test]
    fn oids_are_the_standard_s() {
        assert_eq!(
            oid(&[1, 2, 840, 113_549, 1, 1, 11])[2..],
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]
        );
    }
}
