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
    TrustAnchor, UnixTime, alg_id,
};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, aws_lc_rs as algorithm};

use crate::{
    budget::{self, Budget, Exhausted},
    der::{self, Reader},
    key::PublicKey,
    refusal::{CriticalExtension, Reason},
    signatures::Signatures,
    time::TimeAndNow,
    x509::{Certificate, Malformed, NameLoad},
};

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
pub(crate) struct TrustedKey {
    anchor: TrustAnchor<'static>,
    constraints: NameLoad,
}

impl TrustedKey {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, Malformed> {
        let anchor = webpki::anchor_from_trusted_cert(der)
            .map_err(|_| Malformed::of("its fields are malformed"))?
            .to_owned();
        let constraints = anchor.name_constraints.as_ref();
        let constraints = constraints.map(|contents| NameLoad::of_subtrees(contents));
        Ok(Self {
            constraints: constraints.unwrap_or_default(),
            anchor,
        })
    }

    /// Contents of its subject's name.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.anchor.subject
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

/// One path, from a leaf to an anchor.
pub(crate) struct Path<'p> {
    pub(crate) leaf: &'p Leaf<'p>,
    /// The leaf, then each certificate's issuer, up to the one that the anchor issued.
    pub(crate) certificates: &'p [(&'p CertificateDer<'static>, &'p Certificate<'p>)],
    pub(crate) anchor: &'p TrustedKey,
}

impl Path<'_> {
    /// The price of setting out to verify it.
    fn price(&self) -> u64 {
        let fields = self.certificates.iter().map(|(_, fields)| *fields);
        let extensions = fields.map(|fields| fields.extensions.count).sum();
        budget::path(self.certificates.len(), extensions)
    }

    /// The only certificate that has alternative names and stands below a CA that constrains them,
    /// if there is one only: webpki does not say whose name it was.
    fn only_constrained(&self) -> Option<usize> {
        let mut constrained = self.anchor.constraints.count > 0;
        let mut found = None;
        for (at, (_, fields)) in self.certificates.iter().enumerate().rev() {
            if constrained && fields.extensions.alternative_names.is_some() {
                if found.is_some() {
                    return None;
                }
                found = Some(at);
            }
            constrained |= fields.extensions.constraints.count > 0;
        }
        found
    }

    /// The price of holding every name on it to the constraints of every CA above.
    fn price_of_names(&self) -> u64 {
        let fields = || self.certificates.iter().map(|(_, fields)| *fields);
        let mut price = 0_u64;
        let mut constraints = self.anchor.constraints;
        // Every certificate's constraints bind all those below it (RFC 5280 section 6.1.4 (g)).
        for (at, issued) in fields().enumerate().rev() {
            if constraints.count > 0 {
                let below = fields()
                    .take(at + 1)
                    .map(|fields| fields.extensions.names());
                let names = below.fold(NameLoad::default(), NameLoad::plus);
                price = price.saturating_add(budget::name_comparisons(names, constraints));
            }
            constraints = issued.extensions.constraints;
        }
        price
    }
}

/// Why a path does not verify, and which of its certificates is at fault, 0 being the leaf.
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) certificate: Option<usize>,
}

/// Verifies paths until the budget of one verdict is spent.
#[derive(Debug, Default)]
pub(crate) struct Verifier<'s> {
    /// What became of checks for another verdict on the same chain.
    known: Option<&'s Signatures>,
    checked: AtomicUsize,
    /// Where the message began whose signature was the last that did not verify.
    refused_message: AtomicUsize,
}

impl<'s> Verifier<'s> {
    /// One that shares its checks with others of the same chain. Each is paid for as if it were made.
    pub(crate) fn sharing(known: &'s Signatures) -> Self {
        Self {
            known: Some(known),
            ..Self::default()
        }
    }

    /// How many signatures were checked, here or for another.
    pub(crate) fn signature_checks(&self) -> usize {
        self.checked.load(Ordering::Relaxed)
    }

    /// Verifies this path and no other: webpki looks for a way through the intermediates itself,
    /// and what it finds must be all of them in this order, the leaf's issuer first.
    pub(crate) fn verify(
        &self,
        path: &Path<'_>,
        now: UnixSeconds,
        budget: &Budget,
    ) -> Result<(), Fault> {
        let everywhere = |reason| Fault {
            reason,
            certificate: None,
        };
        let Some(leaf) = &path.leaf.0 else {
            return Err(everywhere(Reason::UnknownCriticalExtension(
                CriticalExtension(None),
            )));
        };
        if let Err(Exhausted) = budget.charge(path.price()) {
            return Err(everywhere(Reason::Budget("signatures to check")));
        }
        if let Err(Exhausted) = budget.charge(path.price_of_names()) {
            return Err(everywhere(Reason::Budget("names to compare")));
        }
        let intermediates: Vec<_> = path.certificates.iter().skip(1).map(borrowed).collect();
        let metered = ALGORITHMS.map(|algorithm| Metered {
            algorithm,
            verifier: self,
            budget,
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
        let verified = leaf.verify_for_usage(
            &algorithms,
            slice::from_ref(&path.anchor.anchor),
            &intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            KeyUsage::client_auth(),
            None,
            Some(&is_this_path),
        );
        match verified {
            Ok(_) => Ok(()),
            Err(_) if budget.is_exhausted() => {
                Err(everywhere(Reason::Budget("signatures to check")))
            }
            Err(error) => Err(self.fault(error, path)),
        }
    }

    fn fault(&self, error: Error, path: &Path<'_>) -> Fault {
        let reason = reason(error);
        // webpki does not say whose signature it was, but each message lies in its certificate.
        let begin = self.refused_message.load(Ordering::Relaxed);
        let mut ders = path.certificates.iter().map(|(der, _)| der.as_ref());
        let certificate = match reason {
            Reason::BadSignature => ders.position(|der| {
                let range = der.as_ptr_range();
                (range.start.addr()..range.end.addr()).contains(&begin)
            }),
            Reason::WeakSignature => ders.position(|der| !has_known_signature(der)),
            Reason::NameConstraints => path.only_constrained(),
            _ => None,
        };
        Fault {
            reason,
            certificate,
        }
    }
}

/// Why a signature was not taken for its key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// The algorithm is too weak, not supported, or does not fit the key.
    Algorithm,
    /// It does not verify.
    Signature,
}

/// Whether the bits of a signature verify under a key, given by the contents of its public key info, by
/// an algorithm, given by the contents of its identifier. For what is not on a path.
pub(crate) fn check_signature(
    key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Unsigned> {
    let mut fields = Reader::new(key);
    let kind = fields.take(der::SEQUENCE).ok_or(Unsigned::Algorithm)?;
    let bits = fields.take(der::BIT_STRING).ok_or(Unsigned::Algorithm)?;
    let (Some((0, bits)), true) = (bits.split_first(), PublicKey::read(key).is_supported()) else {
        return Err(Unsigned::Algorithm);
    };
    let fits = |known: &&Algorithm| {
        known.signature_alg_id().as_ref() == algorithm && known.public_key_alg_id().as_ref() == kind
    };
    let known = ALGORITHMS.iter().find(fits).ok_or(Unsigned::Algorithm)?;
    known
        .verify_signature(bits, message, signature)
        .map_err(|_| Unsigned::Signature)
}

/// Whether a certificate names a signature algorithm that is supported.
fn has_known_signature(der: &[u8]) -> bool {
    let named = der::only(der, der::SEQUENCE).and_then(|whole| {
        let mut fields = Reader::new(whole);
        fields.take(der::SEQUENCE)?;
        fields.take(der::SEQUENCE)
    });
    let is_named = |known: &Algorithm| Some(known.signature_alg_id().as_ref()) == named;
    ALGORITHMS.iter().any(is_named)
}

fn borrowed<'p>(
    &(der, _): &(&'p CertificateDer<'static>, &'p Certificate<'p>),
) -> CertificateDer<'p> {
    let der: &'p [u8] = der.as_ref();
    CertificateDer::from(der)
}

/// An algorithm that counts the signatures which it checks, and checks none past the budget.
#[derive(Debug)]
struct Metered<'a> {
    algorithm: Algorithm,
    verifier: &'a Verifier<'a>,
    budget: &'a Budget,
}

impl Metered<'_> {
    /// The kind of the key whose bits these are.
    fn key<'k>(&self, bits: &'k [u8]) -> PublicKey<'k> {
        match self.algorithm.public_key_alg_id() {
            alg_id::ECDSA_P256 => PublicKey::P256,
            alg_id::ECDSA_P384 => PublicKey::P384,
            alg_id::ECDSA_P521 => PublicKey::P521,
            alg_id::ED25519 => PublicKey::Ed25519,
            _ => PublicKey::rsa(bits).unwrap_or(PublicKey::Malformed),
        }
    }
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = self.key(public_key);
        let price = budget::signature_check(key, public_key, message.len());
        self.budget.charge(price).map_err(|_| InvalidSignature)?;
        self.verifier.checked.fetch_add(1, Ordering::Relaxed);
        let check = || {
            let algorithm = self.algorithm;
            algorithm.verify_signature(public_key, message, signature)
        };
        let verified = match self.verifier.known {
            Some(known) => {
                let (of_key, of_signature) = (self.public_key_alg_id(), self.signature_alg_id());
                let (of_key, of_signature) = (of_key.as_ref(), of_signature.as_ref());
                known.check(
                    [of_key, of_signature, public_key, message, signature],
                    check,
                )
            }
            None => check(),
        };
        if verified.is_err() {
            let begin = message.as_ptr().addr();
            self.verifier
                .refused_message
                .store(begin, Ordering::Relaxed);
        }
        verified
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
        Error::MaximumNameConstraintComparisonsExceeded => Reason::Budget("names to compare"),
        Error::MaximumSignatureChecksExceeded => Reason::Budget("signatures to check"),
        Error::MaximumPathBuildCallsExceeded => Reason::Budget("steps between certificates"),
        Error::UnsupportedCriticalExtension => {
            Reason::UnknownCriticalExtension(CriticalExtension(None))
        }
        Error::UnsupportedCertVersion => {
            Reason::Malformed(Malformed::of("it is not an X.509 version 3 certificate"))
        }
        Error::SignatureAlgorithmMismatch => {
            Reason::Malformed(Malformed::of("it names two different signature algorithms"))
        }
        Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => Reason::ExtendedKeyUsage,
        Error::CertExpired { time, not_after } => Reason::Expired(TimeAndNow {
            at: not_after.as_secs(),
            now: time.as_secs(),
        }),
        Error::CertNotValidYet { time, not_before } => Reason::NotYetValid(TimeAndNow {
            at: not_before.as_secs(),
            now: time.as_secs(),
        }),
        Error::CaUsedAsEndEntity => Reason::LeafIsCa,
        Error::UnknownIssuer => Reason::NoPath,
        _ => Reason::Malformed(Malformed::of("its fields are malformed")),
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
