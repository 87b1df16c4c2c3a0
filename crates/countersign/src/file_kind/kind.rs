//! The kinds of files, and how they are told apart.

use super::{der::Der, pem};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but white space.
    Empty,
    /// Text with two bytes for each character.
    Utf16,
    /// PEM, with bytes around its blocks that are not UTF-8.
    PemNotUtf8,
    /// PEM blocks with these labels, in order.
    Pem(Vec<String>),
    /// Base 64 of a certificate or a key, without the lines around it.
    Base64,
    /// Almost PEM: the dashes of its lines were lost or changed.
    OddDashes,
    Der(Der),
    /// By its name, and the command that unpacks it.
    Archive(&'static str, &'static str),
    Html,
    Json,
    SshPublicKey,
    PuttyKey,
    /// Other text.
    Text,
    /// Other bytes.
    Binary,
}

/// What a command wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One or more certificates in PEM.
    Certificate,
    /// A private key in PEM.
    PrivateKey,
    /// Any text, such as a policy.
    Text,
}

/// The archives that people keep certificates in, by how they begin.
const ARCHIVES: [(&[u8], &str, &str); 4] = [
    (b"\x1f\x8b", "a gzip archive", "gunzip -k"),
    (b"PK\x03\x04", "a ZIP archive", "unzip"),
    (b"\xfd7zXZ\0", "an xz archive", "unxz -k"),
    (
        b"\xfe\xed\xfe\xed",
        "a Java keystore",
        "keytool -exportcert -rfc -alias ALIAS -keystore",
    ),
];

impl Kind {
    /// Tells what a file's bytes are.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let archive = ARCHIVES.iter().find(|(start, ..)| bytes.starts_with(start));
        if let Some((_, name, command)) = archive {
            return Self::Archive(name, command);
        }
        if is_tar(bytes) {
            return Self::Archive("a tar archive", "tar -xf");
        }
        if is_utf16(bytes) {
            return Self::Utf16;
        }
        if let Some(der) = Der::of(bytes) {
            return Self::Der(der);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::of_text(text.trim_start_matches('\u{feff}').trim()),
            Err(_) if bytes.windows(10).any(|part| part == b"-----BEGIN") => Self::PemNotUtf8,
            Err(_) => Self::Binary,
        }
    }

    fn of_text(text: &str) -> Self {
        let labels = pem::labels(text);
        let base64 = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "+/=".contains(c);
        match text {
            "" => Self::Empty,
            _ if !labels.is_empty() => Self::Pem(labels),
            _ if text.contains('\0') => Self::Binary,
            _ if text.starts_with("MI") && text.chars().all(base64) => Self::Base64,
            _ if text.contains("BEGIN CERTIFICATE") => Self::OddDashes,
            _ if text.starts_with("PuTTY-User-Key-File") => Self::PuttyKey,
            _ if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") => Self::SshPublicKey,
            _ if text.starts_with('<') => Self::Html,
            _ if text.starts_with('{') => Self::Json,
            _ => Self::Text,
        }
    }

    /// Whether it is text with PEM blocks.
    pub(crate) const fn is_pem(&self) -> bool {
        matches!(self, Self::Pem(_))
    }

    /// Whether a command can go on with a file of this kind.
    pub(crate) fn is(&self, wanted: Wanted) -> bool {
        match (self, wanted) {
            (Self::Pem(labels), Wanted::Certificate) => {
                labels.iter().any(|label| label == "CERTIFICATE")
            }
            (Self::Pem(labels), Wanted::PrivateKey) => labels.iter().any(|label| {
                label.ends_with("PRIVATE KEY")
                    && !label.starts_with("ENCRYPTED")
                    && !label.starts_with("OPENSSH")
            }),
            (
                Self::Empty
                | Self::Base64
                | Self::OddDashes
                | Self::Html
                | Self::Json
                | Self::SshPublicKey
                | Self::PuttyKey
                | Self::Text,
                Wanted::Text,
            ) => true,
            _ => false,
        }
    }
}

/// Also without the mark at its start, so that no key in it is taken for other text.
fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    zeros * 3 > bytes.len()
        && (bytes.starts_with(b"\xff\xfe")
            || bytes.starts_with(b"\xfe\xff")
            || bytes.windows(2).any(|pair| matches!(pair, b"-\0" | b"\0-")))
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}
