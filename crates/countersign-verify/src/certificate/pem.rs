//! The first certificate of a PEM text, or what is wrong with the text and on which line.
//!
//! Lines count from 1; a literal `\n` ends a line as a real one does.

use data_encoding::{BASE64, DecodeKind};

use super::{private_key::holds_private_key, rejection::Rejection};

/// The most bytes that an upload may have (docs/specification.md, section 1).
pub const MAX_UPLOAD_BYTES: usize = 16 * 1024;

const BEGIN: &str = "-----BEGIN";
const END: &str = "-----END";
const WHOLE_FILE: &str = "Send the whole file.";

/// The DER of the first block, which must be a certificate; later blocks are ignored, but a
/// private key is refused wherever it stands.
pub(super) fn first_certificate(upload: &str) -> Result<Vec<u8>, Rejection> {
    if upload.len() > MAX_UPLOAD_BYTES {
        return Err(Rejection::invalid(
            format!(
                "The certificate is {} bytes long and at most {MAX_UPLOAD_BYTES} are read.",
                upload.len()
            ),
            "Send the CA certificate alone, not a whole bundle.",
        ));
    }
    let text = real_line_breaks(upload);
    if holds_private_key(&text) {
        return Err(Rejection::invalid(
            "The upload contains a private key, so it is refused and not stored.",
            "Send only the CA certificate, the block from `-----BEGIN CERTIFICATE-----` to \
             `-----END CERTIFICATE-----`, and replace the key if anyone may have seen it.",
        ));
    }
    let mut lines = (1..).zip(text.lines().map(bare));
    let begin = lines
        .find(|(_, line)| line.starts_with(BEGIN))
        .ok_or_else(|| not_pem(&text))?;
    check_begin(begin)?;
    let body = body(begin.0, lines)?;
    decode(begin.0, &body)
}

/// The text with line feeds alone for line breaks, and those written as `\n` made real.
fn real_line_breaks(upload: &str) -> String {
    upload
        .trim_start_matches('\u{feff}')
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\r\n", "\n")
        .replace('\r', "\n")
}

/// A line without the spaces and quotes that pasting leaves around it.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'')
}

fn check_begin((number, line): (usize, &str)) -> Result<(), Rejection> {
    let rest = line.strip_prefix(BEGIN).unwrap_or_default();
    let Some((label, after)) = rest.split_once("-----") else {
        return Err(Rejection::invalid(
            format!("Line {number} begins a PEM block without five dashes on either side."),
            "Copy the line again from the original file: `-----BEGIN CERTIFICATE-----`.",
        ));
    };
    let label = label.trim();
    if label != "CERTIFICATE" {
        // A label is short and plain; what is not is no label, and is not repeated.
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
        let known = label.len() <= 40 && label.chars().all(plain);
        return Err(Rejection::invalid(
            match known {
                true => format!("The first PEM block is `{label}`, not `CERTIFICATE`."),
                false => format!("The first PEM block, on line {number}, is not `CERTIFICATE`."),
            },
            advice_for_label(label),
        ));
    }
    if !after.is_empty() {
        return Err(Rejection::invalid(
            format!("Line {number} continues after `-----BEGIN CERTIFICATE-----`."),
            "The line breaks were lost: send the file with them, in JSON as `\\n`.",
        ));
    }
    Ok(())
}

fn advice_for_label(label: &str) -> &'static str {
    match label {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "A request is what a CA is asked with: send the certificate of the CA instead."
        }
        "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            "Convert it with `openssl x509 -in FILE -out ca.pem` and send the text of `ca.pem`."
        }
        "PKCS7" | "CMS" => {
            "Take the certificates out with `openssl pkcs7 -print_certs -in FILE` and send the \
             CA's."
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            "A public key alone is not enough: send the CA certificate that holds it."
        }
        "X509 CRL" => "A revocation list is not a certificate: send the certificate of the CA.",
        _ => "Send the CA certificate first, or alone.",
    }
}

/// The lines between the first and the last, with their numbers.
fn body<'a>(
    begin: usize,
    lines: impl Iterator<Item = (usize, &'a str)>,
) -> Result<Vec<(usize, &'a str)>, Rejection> {
    let mut body = Vec::new();
    for (number, line) in lines {
        if line.starts_with(END) {
            let rest = line.strip_prefix(END).unwrap_or_default();
            if rest.trim() == "CERTIFICATE-----" {
                return Ok(body);
            }
            if rest.contains(BEGIN) {
                return Err(Rejection::invalid(
                    format!(
                        "Line {number} is two lines: one PEM block ends there and another begins."
                    ),
                    "Put a line break between them.",
                ));
            }
            return Err(Rejection::invalid(
                format!("Line {number} ends the PEM block but is not `-----END CERTIFICATE-----`."),
                "Copy the line again from the original file, alone on its line.",
            ));
        }
        if line.starts_with(BEGIN) {
            break;
        }
        body.push((number, line));
    }
    Err(Rejection::invalid(
        format!(
            "The certificate that begins on line {begin} is cut short: there is no line \
             `-----END CERTIFICATE-----` for it."
        ),
        WHOLE_FILE,
    ))
}

fn decode(begin: usize, body: &[(usize, &str)]) -> Result<Vec<u8>, Rejection> {
    let mut base64 = Vec::new();
    // Where each line ends in `base64`.
    let mut ends = Vec::new();
    for (number, line) in body {
        base64.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        ends.push((*number, base64.len()));
    }
    if base64.is_empty() {
        return Err(Rejection::invalid(
            format!("There is nothing in the PEM block that begins on line {begin}."),
            WHOLE_FILE,
        ));
    }
    let cut_short = || {
        let last = line_of(&ends, base64.len().saturating_sub(1));
        Rejection::invalid(
            format!("The certificate is cut short: its base64 ends too early, on line {last}."),
            WHOLE_FILE,
        )
    };
    let padding = base64
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let digits = base64.len().saturating_sub(padding);
    let wrong = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'+' && *byte != b'/';
    if let Some(at) = base64.iter().take(digits).position(wrong) {
        return Err(not_base64(line_of(&ends, at)));
    }
    let der = BASE64.decode(&base64).map_err(|error| match error.kind {
        DecodeKind::Length => cut_short(),
        _ => not_base64(line_of(&ends, error.position)),
    })?;
    if announced_length(&der).is_some_and(|length| length > der.len()) {
        return Err(cut_short());
    }
    Ok(der)
}

fn not_base64(line: usize) -> Rejection {
    Rejection::invalid(
        format!("Line {line} is not base64."),
        "Copy the certificate again from the original file, without changing it.",
    )
}

/// The line that holds the byte `at`.
fn line_of(ends: &[(usize, usize)], at: usize) -> usize {
    let line = ends.iter().find(|(_, end)| at < *end).or(ends.last());
    line.map_or(0, |(number, _)| *number)
}

/// How long a DER SEQUENCE says it is, its tag and length included.
fn announced_length(der: &[u8]) -> Option<usize> {
    match *der {
        [0x30, short @ ..=0x7f, ..] => Some(2 + usize::from(short)),
        [0x30, 0x81, length, ..] => Some(3 + usize::from(length)),
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// What a text without any PEM block is.
/// Whether plain text was written with two bytes for each character, as some editors and shells do:
/// every other is then zero.
fn is_utf16(text: &str) -> bool {
    let zeros = text.bytes().filter(|byte| *byte == 0).count();
    zeros * 3 > text.len()
}

fn not_pem(text: &str) -> Rejection {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Rejection::invalid(
            "The certificate is empty.",
            "Send the PEM text of the CA certificate that issues your client certificates.",
        );
    }
    if is_utf16(trimmed) {
        return Rejection::invalid(
            "The certificate is UTF-16 text, not PEM.",
            "Save the file as UTF-8 and send its text.",
        );
    }
    // DER begins with 0x30 and a length; as text, its bytes above 0x7f were replaced or widened.
    let binary = |c: char| c == '\u{fffd}' || (c.is_control() && !c.is_whitespace());
    if trimmed.contains(binary) || trimmed.starts_with("0\u{82}") {
        return Rejection::invalid(
            "The certificate is binary (DER), not PEM.",
            "Convert it with `openssl x509 -inform der -in FILE -out ca.pem` and send the text of \
             `ca.pem`.",
        );
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "+/=".contains(c);
    if trimmed.chars().all(base64) && trimmed.starts_with("MI") {
        return Rejection::invalid(
            "The certificate is base64 without the lines around it.",
            "Put the line `-----BEGIN CERTIFICATE-----` before it and the line \
             `-----END CERTIFICATE-----` after it.",
        );
    }
    Rejection::invalid(
        "The certificate is not PEM: there is no line `-----BEGIN CERTIFICATE-----`.",
        "Send the text of the CA certificate's PEM file, not its name or path.",
    )
}
