//! Hexadecimal digits, as each request has them.

/// A number in hexadecimal digits. Eight at a time.
pub(crate) fn hex(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    let words = number.to_be_bytes();
    let (words, _) = words.as_chunks::<4>();
    let (places, _) = digits.as_chunks_mut::<8>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = eight_digits(u32::from_be_bytes(*word));
    }
    digits
}

/// The hexadecimal digits of a number, all at once: each byte of a word becomes one of them.
fn eight_digits(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // One for each that is above nine.
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    (digits + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_are_formatted() {
        for number in [0, 1, 9, 10, u128::MAX, 0x0123_4567_89ab_cdef << 64 | 0xfedc] {
            let formatted = format!("{number:032x}");
            assert_eq!(hex(number), formatted.as_bytes(), "{formatted}");
        }
    }
}
