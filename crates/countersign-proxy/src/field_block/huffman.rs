//! Strings in the Huffman code of HPACK (RFC 7541 section 5.2).

/// A block that cannot be decoded: what follows on its connection cannot be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecodable;

/// How many bits the code of each octet has, and last that of the end of a string (appendix B). Codes
/// of one length follow each other in the order of what they stand for, and begin where those that are
/// shorter leave off: the lengths are all there is to know.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The longest code.
const MAX_LENGTH: usize = 30;

/// Codes of up to this length are looked up in one step: those of all letters and digits.
const SHORT: u32 = 8;

/// What the codes stand for.
struct Codes {
    /// By the first eight bits: the octet and the length of its code, if it is that short.
    short: [(u8, u8); 1 << SHORT],
    /// The octets, in the order of their codes.
    octets: [u8; 257],
    /// For each length: the code after the last of that length, and what to add to a code to find its
    /// octet.
    by_length: [(u32, u32); MAX_LENGTH + 1],
}

static CODES: Codes = codes();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed by the compiler, which would not accept an index beyond the end"
)]
const fn codes() -> Codes {
    let mut codes = Codes {
        short: [(0, 0); 1 << SHORT],
        octets: [0; 257],
        by_length: [(0, 0); MAX_LENGTH + 1],
    };
    let (mut length, mut code, mut place) = (1, 0_u32, 0_u32);
    while length <= MAX_LENGTH {
        code <<= 1;
        let add = place.wrapping_sub(code);
        let mut octet = 0;
        while octet < LENGTHS.len() {
            if LENGTHS[octet] as usize == length {
                codes.octets[place as usize] = octet as u8;
                if length <= SHORT as usize {
                    let left = SHORT as usize - length;
                    let mut rest = 0;
                    while rest < 1 << left {
                        codes.short[((code as usize) << left) | rest] = (octet as u8, length as u8);
                        rest += 1;
                    }
                }
                code += 1;
                place += 1;
            }
            octet += 1;
        }
        codes.by_length[length] = (code, add);
        length += 1;
    }
    codes
}

/// Appends what a string says.
pub(super) fn decode(string: &[u8], decoded: &mut Vec<u8>) -> Result<(), Undecodable> {
    let mut string = string.iter();
    // The next bits, from the left, and how many of them there are.
    let (mut bits, mut count) = (0_u64, 0_u32);
    loop {
        while count <= 56
            && let Some(octet) = string.next()
        {
            bits |= u64::from(*octet) << (56 - count);
            count += 8;
        }
        let Some((octet, length)) = next(bits).filter(|(_, length)| *length <= count) else {
            // The end is padded with up to seven bits of the code that ends a string: ones.
            let is_padding = count < 8 && bits.leading_ones() >= count;
            return if is_padding { Ok(()) } else { Err(Undecodable) };
        };
        decoded.push(octet);
        bits <<= length;
        count -= length;
    }
}

/// The octet whose code these bits begin with, and how long that is.
fn next(bits: u64) -> Option<(u8, u32)> {
    let short = usize::try_from(bits >> (u64::BITS - SHORT)).ok()?;
    match CODES.short.get(short)? {
        (_, 0) => next_long(bits),
        (octet, length) => Some((*octet, u32::from(*length))),
    }
}

fn next_long(bits: u64) -> Option<(u8, u32)> {
    let lengths = (SHORT + 1..).zip(CODES.by_length.iter().skip(SHORT as usize + 1));
    for (length, (after, add)) in lengths {
        let code = u32::try_from(bits >> (u64::BITS - length)).ok()?;
        if code < *after {
            let place = usize::try_from(code.wrapping_add(*add)).ok()?;
            // The last is no octet: it ends a string, and must not be in one.
            let octet = CODES.octets.get(place).filter(|_| place < 256)?;
            return Some((*octet, length));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(string: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let mut decoded = Vec::new();
        decode(string, &mut decoded).map(|()| decoded)
    }

    #[test]
    fn the_examples_of_the_rfc_are_decoded() {
        // RFC 7541 appendix C.4 and C.6.
        for (string, says) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("aec3771a4b", "private"),
            (
                "d07abe941054d444a8200595040b8166e082a62d1bff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (
                "9d29ad171863c78f0b97c8e9ae82ae43d3",
                "https://www.example.com",
            ),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ] {
            let octets: Vec<u8> = (0..string.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&string[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(decoded(&octets).unwrap(), says.as_bytes());
        }
    }

    #[test]
    fn every_octet_has_its_code() {
        for (octet, length) in LENGTHS[..256].iter().enumerate() {
            let place = CODES.octets[..256]
                .iter()
                .position(|each| usize::from(*each) == octet);
            let (place, length) = (u32::try_from(place.unwrap()).unwrap(), u32::from(*length));
            let (_, add) = CODES.by_length[length as usize];
            // The code, and then ones.
            let code = u64::from(place.wrapping_sub(add));
            let bits = (code << (64 - length)) | (u64::MAX >> length);
            let string = bits.to_be_bytes();
            let string = &string[..usize::try_from(length.div_ceil(8)).unwrap()];
            assert_eq!(decoded(string).unwrap(), [u8::try_from(octet).unwrap()]);
        }
    }

    #[test]
    fn what_is_no_string_is_not_decoded() {
        let no_strings: [&[u8]; 4] = [
            // The code that ends a string, in it.
            &[0xff, 0xff, 0xff, 0xff],
            // Padding of a whole octet.
            &[0x1f, 0xff],
            // Padding of zeros: half of a code.
            &[0xf0],
            &[0xff],
        ];
        for string in no_strings {
            assert!(decoded(string).is_err(), "{string:x?}");
        }
        assert_eq!(decoded(&[]).unwrap(), b"");
    }
}
