//! Serial numbers in the form that is compared.

use super::invalid_match::InvalidMatch;

/// A serial number in hexadecimal, in the form that is compared.
pub(super) fn written(text: &str) -> Result<String, InvalidMatch> {
    let text = text.trim();
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
        .replace(':', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(InvalidMatch {
            property: "issuer_and_serial.serial_number",
            message: format!(
                "`{text}` is not a serial number in hexadecimal, as `openssl x509 -noout -serial` shows it."
            ),
        });
    }
    Ok(without_zeros(&digits.to_ascii_lowercase()))
}

/// The serial number of a certificate: the contents of its integer are given.
pub(super) fn presented(contents: &[u8]) -> String {
    without_zeros(&data_encoding::HEXLOWER.encode(contents))
}

fn without_zeros(digits: &str) -> String {
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    }
}
