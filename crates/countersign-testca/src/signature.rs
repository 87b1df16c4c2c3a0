//! How a certificate is signed, and the identifier of that algorithm.

use crate::{der, key_kind::KeyKind, oid};

/// How to sign. RSA keys can do all of these, P-521 the SHA-2 ones, the others only their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// What fits the key: SHA-256 for RSA and P-256, SHA-384 for P-384, SHA-512 for P-521.
    Usual,
    /// SHA-256; PKCS#1 v1.5 for RSA.
    Sha256,
    /// SHA-384; PKCS#1 v1.5 for RSA.
    Sha384,
    /// SHA-512; PKCS#1 v1.5 for RSA.
    Sha512,
    /// RSASSA-PSS with SHA-256.
    PssSha256,
    /// RSASSA-PSS with SHA-384.
    PssSha384,
    /// RSASSA-PSS with SHA-512.
    PssSha512,
    /// SHA-1: a real signature for RSA; for the others only in name.
    Sha1,
}

impl Signature {
    /// The AlgorithmIdentifier in DER of this signature by a key of that kind.
    pub(crate) fn identifier(self, kind: KeyKind) -> Vec<u8> {
        match kind {
            KeyKind::Ed25519 if self != Self::Sha1 => der::sequence(&[der::oid(oid::ED25519)]),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 => {
                der::sequence(&[der::oid(self.ecdsa(kind))])
            }
            _ => self.rsa(),
        }
    }

    fn ecdsa(self, kind: KeyKind) -> &'static [u64] {
        match (self, kind) {
            (Self::Sha1, _) => oid::ECDSA_WITH_SHA1,
            (Self::Usual | Self::Sha256, KeyKind::P256) | (Self::Sha256, KeyKind::P521) => {
                oid::ECDSA_WITH_SHA256
            }
            (Self::Usual | Self::Sha384, KeyKind::P384) | (Self::Sha384, KeyKind::P521) => {
                oid::ECDSA_WITH_SHA384
            }
            (Self::Usual | Self::Sha512, KeyKind::P521) => oid::ECDSA_WITH_SHA512,
            _ => panic!("a {kind:?} key cannot sign with {self:?}"),
        }
    }

    fn rsa(self) -> Vec<u8> {
        let plain = |numbers| der::sequence(&[der::oid(numbers), der::element(der::NULL, &[])]);
        match self {
            Self::Usual | Self::Sha256 => plain(oid::SHA256_WITH_RSA),
            Self::Sha384 => plain(oid::SHA384_WITH_RSA),
            Self::Sha512 => plain(oid::SHA512_WITH_RSA),
            Self::Sha1 => plain(oid::SHA1_WITH_RSA),
            Self::PssSha256 => pss(oid::SHA256, 32),
            Self::PssSha384 => pss(oid::SHA384, 48),
            Self::PssSha512 => pss(oid::SHA512, 64),
        }
    }
}

/// RSASSA-PSS whose salt is as long as its digest (RFC 4055 section 3.1).
fn pss(digest: &[u64], salt_length: u8) -> Vec<u8> {
    let digest = der::sequence(&[der::oid(digest), der::element(der::NULL, &[])]);
    let mask = der::sequence(&[der::oid(oid::MGF1), digest.clone()]);
    let parameters = der::sequence(&[
        der::element(der::constructed(0), &digest),
        der::element(der::constructed(1), &mask),
        der::element(der::constructed(2), &der::unsigned(&[salt_length])),
    ]);
    der::sequence(&[der::oid(oid::RSA_PSS), parameters])
}
