//! Recognising a private key anywhere in an upload.

/// Whether the text holds anything that looks like a private key: a PEM block of any such label,
/// in any case and however mangled its dashes, base64 of such a key under any label or none, or a
/// key that was printed as text.
///
/// It errs on the side of refusing: what it lets through is stored and shown again.
#[must_use]
pub fn holds_private_key(text: &str) -> bool {
    text.lines().any(is_label)
        || text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/')
            .any(begins_as_key)
}

fn is_label(line: &str) -> bool {
    let words: Vec<String> = line
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect();
    let line = words.join(" ");
    let in_armor = line.contains("--") || line.contains("BEGIN") || line.contains("END ");
    // "X509v3 Private Key Usage Period" of a certificate printed as text is no key.
    (line.contains("PRIVATE KEY") && in_armor)
        // What OpenSSL prints above the numbers of a key that is shown as text.
        || line.contains("PRIVATE-KEY:")
        || line.starts_with("PUTTY-USER-KEY-FILE")
        || line.starts_with("PRIVATE-LINES")
}

/// Whether base64 begins as PKCS#8, PKCS#1, SEC 1 or PKCS#12 do: a SEQUENCE whose first element is
/// the INTEGER 0, 1 or 3. A certificate's first element is a SEQUENCE.
fn begins_as_key(base64: &str) -> bool {
    let Some(head) = base64.get(..16) else {
        return false;
    };
    let Ok(bytes) = data_encoding::BASE64.decode(head.as_bytes()) else {
        return false;
    };
    matches!(
        bytes.as_slice(),
        [0x30, ..=0x7f, 2, 1, 0 | 1 | 3, ..]
            | [0x30, 0x81, _, 2, 1, 0 | 1 | 3, ..]
            | [0x30, 0x82, _, _, 2, 1, 0 | 1 | 3, ..]
    )
}
