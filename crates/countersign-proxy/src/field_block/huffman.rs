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
const MAX_LENGTH: u8 = 30;

/// What four bits lead to from one place in the tree of codes. No code has fewer, so that they end one
/// at most.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The place that follows.
    next: u8,
    octet: u8,
    ends: Ends,
}

/// What ends within a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Nothing,
    Octet,
    /// The end of a string is no octet, and must not be in one.
    String,
}

const STEPS: usize = 16;

/// From each place in the tree, by the next four bits.
static CODES: [[Step; STEPS]; 256] = steps();

/// Added to what a code stands for, where it ends.
const ENDS: u16 = 256;

/// The codes as a tree: from each place by a bit to another, or to what is [`ENDS`] and the code's.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed by the compiler, which would not accept an index beyond the end"
)]
const fn tree() -> [[u16; 2]; 256] {
    let mut tree = [[0; 2]; 256];
    let (mut code, mut length, mut places) = (0_u32, 1, 1);
    while length <= MAX_LENGTH {
        code <<= 1;
        let mut octet = 0;
        while octet < LENGTHS.len() {
            if LENGTHS[octet] == length {
                let (mut place, mut left) = (0, length);
                while left > 1 {
                    left -= 1;
                    let bit = (code >> left & 1) as usize;
                    if tree[place][bit] == 0 {
                        tree[place][bit] = places;
                        places += 1;
                    }
                    place = tree[place][bit] as usize;
                }
                tree[place][(code & 1) as usize] = ENDS + octet as u16;
                code += 1;
            }
            octet += 1;
        }
        length += 1;
    }
    tree
}

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which would not accept an index beyond the end"
)]
const fn steps() -> [[Step; STEPS]; 256] {
    let tree = tree();
    let none = Step {
        next: 0,
        octet: 0,
        ends: Ends::Nothing,
    };
    let mut steps = [[none; STEPS]; 256];
    let mut place = 0;
    while place < 256 {
        let mut bits = 0;
        while bits < STEPS {
            steps[place][bits] = step(&tree, place, bits);
            bits += 1;
        }
        place += 1;
    }
    steps
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed by the compiler, which would not accept an index beyond the end"
)]
const fn step(tree: &[[u16; 2]; 256], mut place: usize, bits: usize) -> Step {
    let (mut left, mut octet, mut ends) = (4, 0, Ends::Nothing);
    while left > 0 {
        left -= 1;
        let next = tree[place][bits >> left & 1];
        if next >= ENDS {
            place = 0;
            octet = (next - ENDS) as u8;
            ends = if next == ENDS + 256 {
                Ends::String
            } else {
                Ends::Octet
            };
        } else {
            place = next as usize;
        }
    }
    Step {
        next: place as u8,
        octet,
        ends,
    }
}

/// Gives each octet of what a string says.
pub(super) fn decode(string: &[u8], mut octet: impl FnMut(u8)) -> Result<(), Undecodable> {
    let mut place = 0_u8;
    for bits in string {
        for bits in [bits >> 4, bits & 0x0f] {
            let steps = CODES.get(usize::from(place)).ok_or(Undecodable)?;
            let step = steps.get(usize::from(bits)).ok_or(Undecodable)?;
            match step.ends {
                Ends::Nothing => {}
                Ends::Octet => octet(step.octet),
                Ends::String => return Err(Undecodable),
            }
            place = step.next;
        }
    }
    // The end is padded with up to seven bits of the code that ends a string: ones.
    if PADDED.contains(&place) {
        Ok(())
    } else {
        Err(Undecodable)
    }
}

/// The places that fewer than eight ones lead to.
const PADDED: [u8; 8] = padded();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed by the compiler, which would not accept an index beyond the end"
)]
const fn padded() -> [u8; 8] {
    let tree = tree();
    let mut places = [0; 8];
    let (mut place, mut ones) = (0, 1);
    while ones < places.len() {
        place = tree[place][1] as usize;
        places[ones] = place as u8;
        ones += 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(string: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let mut decoded = Vec::new();
        decode(string, |octet| decoded.push(octet)).map(|()| decoded)
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
        let mut code = 0_u64;
        for length in 1..=MAX_LENGTH {
            code <<= 1;
            for octet in (0..=255_u8).filter(|octet| LENGTHS[usize::from(*octet)] == length) {
                // The code, and then ones.
                let bits = (code << (64 - length)) | (u64::MAX >> length);
                let string = &bits.to_be_bytes()[..usize::from(length.div_ceil(8))];
                assert_eq!(decoded(string).unwrap(), [octet]);
                code += 1;
            }
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
