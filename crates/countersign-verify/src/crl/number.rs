//! The number of a revocation list.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

/// RFC 5280 section 5.2.3: at most 20 bytes.
const MAX_BYTES: usize = 20;

/// A cRLNumber (RFC 5280 section 5.2.3). Later lists have higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrlNumber([u8; MAX_BYTES]);

impl CrlNumber {
    /// Reads the contents of an INTEGER, which must not be negative.
    pub(super) fn read(contents: &[u8]) -> Option<Self> {
        let positive = match contents {
            [0, rest @ ..] => rest,
            [1..=0x7f, ..] => contents,
            _ => return None,
        };
        let mut number = [0; MAX_BYTES];
        let start = MAX_BYTES.checked_sub(positive.len())?;
        number.get_mut(start..)?.copy_from_slice(positive);
        Some(Self(number))
    }
}

/// In decimal where it is as small as those of most CAs, else `0x…`.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = self.0.split_at(MAX_BYTES - 8);
        if let (true, Ok(low)) = (high.iter().all(|byte| *byte == 0), low.try_into()) {
            return write!(f, "{}", u64::from_be_bytes(low));
        }
        let digits = HEXLOWER.encode(&self.0);
        write!(f, "0x{}", digits.trim_start_matches('0'))
    }
}

/// A text that is no number of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANumber;

/// As it is shown.
impl FromStr for CrlNumber {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let bytes = match text.strip_prefix("0x") {
            None => {
                let number: u64 = text.parse().map_err(|_| NotANumber)?;
                number.to_be_bytes().to_vec()
            }
            Some(digits) => {
                let even = format!("{}{digits}", if digits.len() % 2 == 0 { "" } else { "0" });
                HEXLOWER.decode(even.as_bytes()).map_err(|_| NotANumber)?
            }
        };
        let mut number = [0; MAX_BYTES];
        let start = MAX_BYTES.checked_sub(bytes.len()).ok_or(NotANumber)?;
        let end = number.get_mut(start..).ok_or(NotANumber)?;
        end.copy_from_slice(&bytes);
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_read_back() {
        let mut last = None;
        for (contents, text) in [
            (&[0][..], "0"),
            (&[1], "1"),
            (&[0, 0xff], "255"),
            (&[1, 0], "256"),
            (&[0x7f; 8], "9187201950435737471"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "0x10000000000000000"),
            (&[0x7f; 20], &format!("0x{}", "7f".repeat(20))),
        ] {
            let number = CrlNumber::read(contents).unwrap();
            assert_eq!(number.to_string(), text);
            assert_eq!(text.parse(), Ok(number));
            assert!(last < Some(number), "{text}");
            last = Some(number);
        }
        for wrong in [&[][..], &[0x80], &[1; 21]] {
            assert_eq!(CrlNumber::read(wrong), None, "{wrong:?}");
        }
        for wrong in ["", "x", "0x", "0xg", "-1", &format!("0x{}", "1".repeat(41))] {
            let read = wrong.parse::<CrlNumber>();
            assert!(read.is_err() || wrong == "0x", "{wrong}");
        }
    }
}
