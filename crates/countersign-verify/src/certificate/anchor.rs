//! A trust anchor: a certificate that passed every check.

use countersign_types::{UnixSeconds, digest::Sha256};

use super::{
    anchor_rules,
    facts::{Facts, Time},
    pem,
    rejection::Rejection,
};

/// How much validity an upload must have left, in seconds (docs/specification.md, section 1: 24
/// hours).
const LEAST_VALIDITY_LEFT: i64 = 24 * 60 * 60;

/// A certificate that can be a trust anchor. There is no other way to one than these checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    facts: Facts,
    key_identifier: Vec<u8>,
}

/// Reads an upload, given the time: all of docs/specification.md, section 1, "What an upload
/// must be".
///
/// # Errors
/// `expired_certificate` when it is sound but has no more than 24 hours of validity left,
/// otherwise `mtls_certificate_invalid`, with a message that says what is wrong and what to do.
pub fn read_upload(pem: &str, now: UnixSeconds) -> Result<Anchor, Rejection> {
    let anchor = Anchor::from_pem(pem)?;
    let refused = anchor_rules::refused_at_upload(anchor.der());
    match refused.or_else(|| expiry(anchor.facts.not_after(), now)) {
        Some(rejection) => Err(rejection),
        None => Ok(anchor),
    }
}

/// Why a gateway cannot use an anchor that was uploaded before, if it cannot: an older version may
/// have accepted what this one refuses to judge by, such as an RSA key with a large exponent. Such
/// an anchor counts as active and permits nothing. Its dates do not matter here.
#[must_use]
pub fn why_unusable(pem: &str) -> Option<Rejection> {
    Anchor::from_pem(pem).err()
}

/// Why a certificate of that end is refused now, if it is.
pub(super) fn expiry(not_after: &Time, now: UnixSeconds) -> Option<Rejection> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let (end, text) = (not_after.unix_seconds, &not_after.text);
    if end < now {
        return Some(Rejection::expired(&format!(
            "The certificate expired at {text}."
        )));
    }
    (end <= now.saturating_add(LEAST_VALIDITY_LEFT)).then(|| {
        Rejection::expired(&format!(
            "The certificate expires at {text}, within 24 hours."
        ))
    })
}

impl Anchor {
    /// Reads a PEM that was accepted before: the checks that do not depend on the time.
    ///
    /// # Errors
    /// `mtls_certificate_invalid`, with the most telling of the reasons.
    pub fn from_pem(pem: &str) -> Result<Self, Rejection> {
        Self::from_der(&pem::first_certificate(pem)?)
    }

    /// Reads a certificate in DER, as [`Anchor::from_pem`] does.
    ///
    /// # Errors
    /// `mtls_certificate_invalid`, with the most telling of the reasons.
    pub fn from_der(der: &[u8]) -> Result<Self, Rejection> {
        let (facts, reasons) = anchor_rules::examine(der)?;
        if let Some(reason) = reasons.into_iter().next() {
            return Err(reason);
        }
        let key_identifier = facts.subject_key_identifier().unwrap_or_default().to_vec();
        Ok(Self {
            facts,
            key_identifier,
        })
    }

    /// What the certificate says.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.facts.der()
    }

    /// The Subject Key Identifier, never empty.
    #[must_use]
    pub fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// The subject in the manner of RFC 4514.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.facts.subject()
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.facts.sha256()
    }

    /// The first second of its validity in Unix seconds, as the API shows it: 0 before 1970.
    #[must_use]
    pub fn valid_at(&self) -> UnixSeconds {
        self.facts.not_before().clamped()
    }

    /// The last second of its validity in Unix seconds, as the API shows it: 0 before 1970.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        self.facts.not_after().clamped()
    }
}
