//! Verifies one path, from the leaf through given intermediates to one anchor. The only file that
//! names webpki: it checks the signatures and the name constraints, and reads every certificate
//! and checks its dates, CA flag, path length and extended key usage a second time.

use std::{
    slice,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use countersign_types::UnixSeconds;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    TrustAnchor, UnixTime,
};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, aws_lc_rs as algorithm};

use crate::{budget::MAX_SIGNATURES, denial::Reason, x509::Malformed};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The signatures that count as strong enough (docs/specification.md, section 2), the most
/// common first.
static ALGORITHMS: [Algorithm; 19] = [
    algorithm::ECDSA_P256_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P256_SHA512,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA512,
    algorithm::ECDSA_P521_SHA256,
    algorithm::ECDSA_P521_SHA384,
    algorithm::ECDSA_P521_SHA512,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What webpki needs of an anchor: name, key and name constraints.
pub(crate) struct TrustedKey(TrustAnchor<'static>);

impl TrustedKey {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, Malformed> {
        webpki::anchor_from_trusted_cert(der)
            .map(|anchor| Self(anchor.to_owned()))
            .map_err(|_| "its fields are malformed")
    }

    /// Contents of its subject's name.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.0.subject
    }
}

/// A leaf as webpki reads it; nothing if that has a critical extension that webpki does not know,
/// which refuses the leaf on every path but does not make it unreadable.
pub(crate) struct Leaf<'a>(Option<EndEntityCert<'a>>);

impl<'a> Leaf<'a> {
    pub(crate) fn read(der: &'a CertificateDer<'a>) -> Result<Self, Reason> {
        match EndEntityCert::try_from(der) {
            Ok(leaf) => Ok(Self(Some(leaf))),
            Err(Error::UnsupportedCriticalExtension) => Ok(Self(None)),
            Err(error) => Err(reason(error)),
        }
    }

    /// Whether any path from it can verify.
    pub(crate) const fn is_understood(&self) -> bool {
        self.0.is_some()
    }
}

/// Verifies paths until the signatures of one verdict are used up.
pub(crate) struct Verifier {
    checked: AtomicUsize,
}

impl Verifier {
    pub(crate) const fn new() -> Self {
        Self {
            checked: AtomicUsize::new(0),
        }
    }

    /// How many signatures were checked.
    pub(crate) fn signature_checks(&self) -> usize {
        self.checked.load(Ordering::Relaxed)
    }

    /// Verifies this path and no other: webpki looks for a way through `intermediates` itself,
    /// and what it finds must be all of them in this order, the leaf's issuer first.
    pub(crate) fn verify(
        &self,
        leaf: &Leaf<'_>,
        intermediates: &[CertificateDer<'_>],
        anchor: &TrustedKey,
        now: UnixSeconds,
    ) -> Result<(), Reason> {
        let leaf = leaf.0.as_ref().ok_or(Reason::UnknownCriticalExtension)?;
        let metered = ALGORITHMS.map(|algorithm| Metered {
            algorithm,
            checked: &self.checked,
        });
        let algorithms = metered
            .each_ref()
            .map(|metered| metered as &dyn SignatureVerificationAlgorithm);
        let is_this_path = |found: &VerifiedPath<'_>| {
            let found = found.intermediate_certificates().map(|found| found.der());
            if found.eq(intermediates.iter().cloned()) {
                return Ok(());
            }
            Err(Error::UnknownIssuer)
        };
        leaf.verify_for_usage(
            &algorithms,
            slice::from_ref(&anchor.0),
            intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            KeyUsage::client_auth(),
            None,
            Some(&is_this_path),
        )
        .map_err(|error| {
            if self.signature_checks() > MAX_SIGNATURES {
                return Reason::Budget("signature checks");
            }
            reason(error)
        })?;
        Ok(())
    }
}

/// An algorithm that counts the signatures which it checks, and checks none past the budget.
#[derive(Debug)]
struct Metered<'a> {
    algorithm: Algorithm,
    checked: &'a AtomicUsize,
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.checked.fetch_add(1, Ordering::Relaxed) >= MAX_SIGNATURES {
            return Err(InvalidSignature);
        }
        self.algorithm
            .verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

fn reason(error: Error) -> Reason {
    match error {
        Error::InvalidSignatureForPublicKey => Reason::BadSignature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::WeakSignature,
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::MalformedDnsIdentifier
        | Error::InvalidNetworkMaskConstraint => Reason::NameConstraints,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Reason::PathLength,
        Error::MaximumNameConstraintComparisonsExceeded => {
            Reason::Budget("name constraint comparisons")
        }
        Error::MaximumSignatureChecksExceeded => Reason::Budget("signature checks"),
        Error::MaximumPathBuildCallsExceeded => Reason::Budget("path building steps"),
        Error::UnsupportedCriticalExtension => Reason::UnknownCriticalExtension,
        Error::UnsupportedCertVersion => {
            Reason::Malformed("it is not an X.509 version 3 certificate")
        }
        Error::SignatureAlgorithmMismatch => {
            Reason::Malformed("it names two different signature algorithms")
        }
        Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => Reason::ExtendedKeyUsage,
        Error::CertExpired { not_after, .. } => Reason::Expired(not_after.as_secs()),
        Error::CertNotValidYet { not_before, .. } => Reason::NotYetValid(not_before.as_secs()),
        Error::CaUsedAsEndEntity => Reason::LeafIsCa,
        Error::UnknownIssuer => Reason::NoPath,
        _ => Reason::Malformed("its fields are malformed"),
    }
}

/// What webpki says of a certificate by itself, as a leaf: how a test learns what webpki read.
#[cfg(test)]
pub(crate) fn judged_alone(der: &CertificateDer<'_>, now: UnixSeconds) -> Result<(), Reason> {
    let leaf = EndEntityCert::try_from(der).map_err(reason)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let usage = KeyUsage::client_auth();
    match leaf.verify_for_usage(&[], &[], &[], now, usage, None, None) {
        // With no anchor at all, this is what is left to say against a certificate.
        Err(Error::UnknownIssuer) | Ok(_) => Ok(()),
        Err(error) => Err(reason(error)),
    }
}
