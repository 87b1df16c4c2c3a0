//! The DER of what was sent as a revocation list: PEM, DER, or DER in base64.

use std::borrow::Cow;

use data_encoding::BASE64;
use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject, SectionKind},
};

use super::rejection::CrlRejection;

/// The most bytes that a list may have in DER: a million entries of the usual size have 40 to 50 MB.
pub const MAX_CRL_BYTES: usize = 64 * 1024 * 1024;
/// The most certificates of CAs between a list's issuer and the anchor that may be sent with it.
pub const MAX_ISSUERS: usize = 6;
/// PEM and base64 have four bytes for three, and line breaks.
const MAX_TEXT_BYTES: usize = MAX_CRL_BYTES / 2 * 3;
/// What to do where there is no list.
const SEND_LIST: &str = "Send the list that the CA publishes, `-----BEGIN X509 CRL-----` in PEM.";
/// What to do where its issuer's certificates cannot be read.
const SEND_ISSUERS: &str =
    "Send the certificates of the CAs between the list's issuer and the anchor, in PEM.";
/// The most bytes of those certificates in PEM.
const MAX_ISSUER_BYTES: usize = MAX_ISSUERS * 16 * 1024;

/// A list in DER, and the certificates that stood beside it.
pub(super) struct Sent<'a> {
    pub(super) der: Cow<'a, [u8]>,
    pub(super) beside: Vec<CertificateDer<'static>>,
}

impl<'a> Sent<'a> {
    /// Finds the list in what was sent.
    pub(super) fn read(sent: &'a [u8]) -> Result<Self, CrlRejection> {
        if sent.len() > MAX_TEXT_BYTES {
            return Err(too_large(sent.len()));
        }
        let read = match sent.trim_ascii() {
            [] => return Err(empty()),
            // DER is never trimmed: its last byte may look like a space.
            [0x30, 0x80..=0x8f, ..] => Self::alone(Cow::Borrowed(sent)),
            text if holds(text, b"-----BEGIN ") => from_pem(text)?,
            text => Self::alone(Cow::Owned(from_base64(text)?)),
        };
        if read.der.len() > MAX_CRL_BYTES {
            return Err(too_large(read.der.len()));
        }
        Ok(read)
    }

    const fn alone(der: Cow<'a, [u8]>) -> Self {
        Self {
            der,
            beside: Vec::new(),
        }
    }
}

/// The certificates that were sent with a list.
pub(super) fn issuers(pem: &str) -> Result<Vec<CertificateDer<'static>>, CrlRejection> {
    if pem.len() > MAX_ISSUER_BYTES {
        return Err(CrlRejection::new(
            format!("The issuer's certificates have more than {MAX_ISSUER_BYTES} bytes."),
            SEND_ISSUERS,
        ));
    }
    refuse_private_key(pem.as_bytes())?;
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(read) if !read.is_empty() => Ok(read),
        Ok(_) | Err(_) => Err(CrlRejection::new(
            "The issuer's certificates are not PEM.",
            SEND_ISSUERS,
        )),
    }
}

/// The one list of a PEM text, and the certificates in it.
fn from_pem(text: &[u8]) -> Result<Sent<'static>, CrlRejection> {
    refuse_private_key(text)?;
    let mut lists = Vec::new();
    let mut beside = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        match block.map_err(unreadable)? {
            (SectionKind::Crl, der) => lists.push(der),
            (SectionKind::Certificate, der) => beside.push(der.into()),
            _ => {}
        }
    }
    let mut lists = lists.into_iter();
    match (lists.next(), lists.next()) {
        (Some(der), None) => Ok(Sent {
            der: Cow::Owned(der),
            beside,
        }),
        (Some(_), Some(_)) => Err(CrlRejection::new(
            "There is more than one revocation list.",
            "Send each by itself.",
        )),
        (None, _) if !beside.is_empty() => Err(CrlRejection::new(
            "This is a certificate and no revocation list.",
            SEND_LIST,
        )),
        (None, _) => Err(CrlRejection::new(
            "There is no PEM block `X509 CRL`.",
            SEND_LIST,
        )),
    }
}

fn unreadable(error: pem::Error) -> CrlRejection {
    match error {
        pem::Error::MissingSectionEnd { .. } => CrlRejection::new(
            "The revocation list is cut short: there is no line `-----END X509 CRL-----`.",
            "Send the whole file.",
        ),
        _ => CrlRejection::new(
            "The PEM text cannot be read.",
            "Copy the revocation list again from the original file, without changing it.",
        ),
    }
}

fn from_base64(text: &[u8]) -> Result<Vec<u8>, CrlRejection> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(&digits).map_err(|_| {
        CrlRejection::new(
            "The revocation list is neither PEM nor DER in base64.",
            "Send the text of the PEM file, or the DER file in base64.",
        )
    })
}

/// A private key that was sent by mistake is named as such, and goes nowhere.
fn refuse_private_key(text: &[u8]) -> Result<(), CrlRejection> {
    if holds(text, b"PRIVATE KEY-----") {
        return Err(CrlRejection::new(
            "A private key was sent, so it is refused and not stored.",
            "Send only the revocation list, and replace the key if anyone may have seen it.",
        ));
    }
    Ok(())
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

fn too_large(bytes: usize) -> CrlRejection {
    CrlRejection::new(
        format!("The revocation list has {bytes} bytes, and at most {MAX_CRL_BYTES} are read."),
        "Have the CA drop the entries of certificates that have expired.",
    )
}

fn empty() -> CrlRejection {
    CrlRejection::new(
        "The revocation list is empty.",
        "Send the list that the CA publishes, in PEM, or DER in base64.",
    )
}
