//! Whose a revocation list is: the anchor's, or that of a CA below it whose certificate came with it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use countersign_types::{UnixSeconds, digest::Sha256};
use rustls_pki_types::CertificateDer;

use super::{input::MAX_ISSUERS, outline::Outline, rejection::CrlRejection};
use crate::{
    der::{self, Reader},
    path::{Unsigned, check_signature},
    refusal::{CertificateName, Reason},
    rules,
    x509::Certificate,
};

/// The SHA-256 of a CA's name and key, each with its length. It is the same for every certificate of
/// that CA, whoever signed it, and no other CA's unless that has the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerDigest(Sha256);

impl IssuerDigest {
    /// Of a CA's certificate: the contents of its subject and of its public key info.
    pub(crate) fn of(subject: &[u8], key: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [subject, key] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_le_bytes());
            context.update(part);
        }
        // SHA-256 always has 32 bytes, so the other case cannot happen.
        let sha256 = Sha256::try_from(context.finish().as_ref());
        Self(sha256.unwrap_or(Sha256::ZERO))
    }

    /// As it was kept.
    #[must_use]
    pub const fn new(sha256: Sha256) -> Self {
        Self(sha256)
    }

    /// As it is kept.
    #[must_use]
    pub const fn sha256(self) -> Sha256 {
        self.0
    }
}

impl fmt::Display for IssuerDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The CAs that a list may be of.
pub(super) struct Issuers<'a> {
    pub(super) anchor: &'a Certificate<'a>,
    /// What came with the list.
    pub(super) below: &'a [CertificateDer<'static>],
    pub(super) now: UnixSeconds,
}

/// A CA that the anchor vouches for, itself or through others, and how many more may stand below it.
#[derive(Clone, Copy)]
struct Vouched {
    index: Option<usize>,
    remaining: Option<u8>,
}

impl Issuers<'_> {
    /// The CA that signed a list: its name and key.
    pub(super) fn find(&self, list: &Outline<'_>) -> Result<IssuerDigest, CrlRejection> {
        if is_of(list, self.anchor) {
            check(list, self.anchor)?;
            return Ok(digest(self.anchor));
        }
        let below = self.read_below()?;
        let vouched = self.vouched(&below);
        let mut named = false;
        for (index, ca) in below.iter().enumerate().filter(|(_, ca)| is_of(list, ca)) {
            named = true;
            if vouched.iter().any(|one| one.index == Some(index)) {
                check(list, ca)?;
                return Ok(digest(ca));
            }
        }
        Err(self.not_found(list, named))
    }

    fn read_below(&self) -> Result<Vec<Certificate<'_>>, CrlRejection> {
        if self.below.len() > MAX_ISSUERS {
            return Err(CrlRejection::new(
                format!(
                    "{} certificates came with the revocation list, and at most {MAX_ISSUERS} are read.",
                    self.below.len()
                ),
                "Send those of the CAs between the list's issuer and the anchor alone.",
            ));
        }
        let read = self.below.iter().zip(1..).map(|(der, position)| {
            let refused = |reason: &dyn fmt::Display| {
                CrlRejection::new(
                    format!("Certificate {position} that came with the revocation list cannot issue one: {reason}."),
                    "Send the certificates of the CAs between the list's issuer and the anchor.",
                )
            };
            let ca = Certificate::read(der)
                .map_err(|what| refused(&Reason::Malformed(what)))?;
            rules::check_dates(&ca, self.now)
                .and_then(|()| rules::check_intermediate(&ca))
                .map_err(|reason| refused(&reason))?;
            Ok(ca)
        });
        read.collect()
    }

    /// The CAs that chain to the anchor: what it signed, then what those signed, and so on. Each pair of
    /// certificates is looked at once at most.
    fn vouched(&self, below: &[Certificate<'_>]) -> Vec<Vouched> {
        let mut vouched = vec![Vouched {
            index: None,
            remaining: self.anchor.extensions.path_length,
        }];
        let mut next = 0;
        while let Some(parent) = vouched.get(next).copied() {
            next += 1;
            for (index, child) in below.iter().enumerate() {
                let known = vouched.iter().any(|one| one.index == Some(index));
                if !known && self.issued(parent, below, index) {
                    let left = parent.remaining.map(|left| left.saturating_sub(1));
                    let own = child.extensions.path_length;
                    vouched.push(Vouched {
                        index: Some(index),
                        remaining: left.into_iter().chain(own).min(),
                    });
                }
            }
        }
        vouched
    }

    /// Whether a CA may have another below it, and signed the certificate of this one.
    fn issued(&self, parent: Vouched, below: &[Certificate<'_>], child: usize) -> bool {
        let ca = match parent.index {
            None => Some(self.anchor),
            Some(index) => below.get(index),
        };
        let (Some(ca), Some(fields)) = (ca, below.get(child)) else {
            return false;
        };
        parent.remaining != Some(0) && self.signed(ca, fields, child)
    }

    /// Whether a CA signed the certificate of another, by name, key identifier and signature.
    fn signed(&self, ca: &Certificate<'_>, child: &Certificate<'_>, index: usize) -> bool {
        let same_key = child.extensions.authority_key == ca.extensions.subject_key;
        if child.issuer != ca.subject || !same_key {
            return false;
        }
        let der = self.below.get(index);
        let parts = der.and_then(|der| signed_parts(der));
        parts.is_some_and(|(signed, algorithm, signature)| {
            check_signature(ca.key, algorithm, signed, signature).is_ok()
        })
    }

    fn not_found(&self, list: &Outline<'_>, named: bool) -> CrlRejection {
        let issuer = CertificateName::new(list.issuer);
        let anchor = CertificateName::new(self.anchor.subject);
        if list.issuer == self.anchor.subject {
            return CrlRejection::new(
                format!(
                    "The revocation list is of another CA with the anchor's name `{anchor}`: its \
                     authorityKeyIdentifier is not the anchor's key."
                ),
                "Send it to the anchor whose key signed it.",
            );
        }
        if named {
            return CrlRejection::new(
                format!(
                    "The certificate of the revocation list's issuer, `{issuer}`, does not chain to this anchor, `{anchor}`."
                ),
                "Send the certificates of all CAs between them, or send the list to the anchor that it belongs to.",
            );
        }
        CrlRejection::new(
            format!("The revocation list is of another issuer: `{issuer}`, not `{anchor}`."),
            "Send it to the anchor that it belongs to; if its issuer is an intermediate under this anchor, send that \
             CA's certificate with it, as `issuer_certificates`.",
        )
    }
}

fn digest(ca: &Certificate<'_>) -> IssuerDigest {
    IssuerDigest::of(ca.subject, ca.key)
}

/// Whether a list names this CA, and its key if it names any.
fn is_of(list: &Outline<'_>, ca: &Certificate<'_>) -> bool {
    let named = list.extensions.authority_key;
    let key = ca.extensions.subject_key;
    list.issuer == ca.subject && named.is_none_or(|named| key.is_none_or(|key| key == named))
}

/// Whether this CA may sign lists, and signed this one.
fn check(list: &Outline<'_>, ca: &Certificate<'_>) -> Result<(), CrlRejection> {
    let name = CertificateName::new(ca.subject);
    // RFC 5280 section 6.3.3 (f).
    let usage = ca.extensions.key_usage;
    if usage.is_some_and(|usage| !usage.crl_signing) {
        return Err(CrlRejection::new(
            format!(
                "The CA `{name}` may not sign revocation lists: its keyUsage (2.5.29.15) lacks cRLSign."
            ),
            "Have the CA's certificate issued again with that key usage.",
        ));
    }
    check_signature(ca.key, list.algorithm, list.signed, list.signature).map_err(|unsigned| {
        match unsigned {
            Unsigned::Algorithm => CrlRejection::new(
                "The revocation list's signature algorithm is too weak, not supported, or does not fit its issuer's key.",
                "Have the CA sign its list with SHA-256 or better.",
            ),
            Unsigned::Signature => CrlRejection::new(
                format!("The revocation list's signature does not verify under the key of `{name}`."),
                "Send the list as the CA signed it, to the anchor whose key signed it.",
            ),
        }
    })
}

/// What of a certificate is signed, by which algorithm, and the bits of the signature.
fn signed_parts<'d>(der: &'d CertificateDer<'_>) -> Option<(&'d [u8], &'d [u8], &'d [u8])> {
    let mut parts = Reader::new(der::only(der, der::SEQUENCE)?);
    let before = parts.rest();
    parts.take(der::SEQUENCE)?;
    let signed = before.get(..before.len() - parts.rest().len())?;
    let algorithm = parts.take(der::SEQUENCE)?;
    let [0, signature @ ..] = parts.take(der::BIT_STRING)? else {
        return None;
    };
    Some((signed, algorithm, signature))
}
