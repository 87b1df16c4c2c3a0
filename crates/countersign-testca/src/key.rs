//! Keys: one pair of each kind that the verifier knows, and RSA of 1,024 bits that it refuses.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    rand::{self, SystemRandom},
    rsa::{self, KeySize},
    signature::{
        self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA256_ASN1_SIGNING, ECDSA_P521_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
        KeyPair as _,
    },
};

use crate::{der, key_kind::KeyKind, oid, raw_rsa, signature::Signature};

/// A key pair. Cloning shares it, so that an RSA key is generated once and used often.
#[derive(Clone)]
pub struct Key(Arc<Parts>);

struct Parts {
    kind: KeyKind,
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
    /// The bits of the subject public key, which key identifiers are made from.
    bits: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.0.kind).finish()
    }
}

impl Key {
    /// Generates a key.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        Self(Arc::new(match kind {
            KeyKind::P256 => ecdsa(kind, &ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyKind::P384 => ecdsa(kind, &ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyKind::P521 => ecdsa(kind, &ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyKind::Rsa2048 => rsa(kind, KeySize::Rsa2048),
            KeyKind::Rsa3072 => rsa(kind, KeySize::Rsa3072),
            KeyKind::Rsa4096 => rsa(kind, KeySize::Rsa4096),
            KeyKind::Ed25519 => ed25519(),
            KeyKind::Rsa1024 => rsa_1024(),
        }))
    }

    /// An RSA key of any size and public exponent (big-endian) without a private part: its
    /// signatures never verify, but cost as much to check as real ones.
    #[must_use]
    pub fn forged_rsa(bits: usize, exponent: &[u8]) -> Self {
        let mut modulus = vec![0; bits.div_ceil(8)];
        rand::fill(&mut modulus).expect("the system draws bytes");
        // Of the requested length, and odd, like the product of two odd primes.
        let top = 1 << ((bits - 1) % 8);
        if let Some(first) = modulus.first_mut() {
            *first = *first & (top - 1) | top;
        }
        if let Some(last) = modulus.last_mut() {
            *last |= 1;
        }
        let public = der::sequence(&[der::unsigned(&modulus), der::unsigned(exponent)]);
        Self(Arc::new(Parts {
            kind: KeyKind::Rsa2048,
            pkcs8: Vec::new(),
            spki: der::sequence(&[rsa_encryption(), der::bit_string(&public)]),
            bits: public,
        }))
    }

    /// A key of another kind, from the contents of its subject public key info. Its signatures
    /// never verify.
    #[must_use]
    pub fn unknown(info: &[u8]) -> Self {
        Self(Arc::new(Parts {
            kind: KeyKind::Rsa2048,
            pkcs8: Vec::new(),
            spki: der::element(der::SEQUENCE, info),
            bits: info.to_vec(),
        }))
    }

    /// The same ECDSA key with its point in compressed form (SEC 1 section 2.3.3), which must be
    /// decompressed before a signature can be checked.
    ///
    /// # Panics
    /// If it is not an ECDSA key.
    #[must_use]
    pub fn compressed(&self) -> Self {
        let coordinates = self.0.bits.strip_prefix(&[4]).expect("an ECDSA key");
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let sign = y.last().map_or(2, |last| 2 | last & 1);
        let bits = [&[sign], x].concat();
        let (info, _) = der::read(&self.0.spki).expect("its own SPKI");
        let (_, rest) = der::read(info).expect("its own SPKI");
        let (algorithm, _) = info.split_at(info.len() - rest.len());
        Self(Arc::new(Parts {
            kind: self.0.kind,
            pkcs8: self.0.pkcs8.clone(),
            spki: der::sequence(&[algorithm.to_vec(), der::bit_string(&bits)]),
            bits,
        }))
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The private key, PKCS#8 in DER.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.0.pkcs8
    }

    /// The private key, PKCS#8 in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        der::pem("PRIVATE KEY", &self.0.pkcs8)
    }

    /// The public key, SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// The key identifier of RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key's bits.
    #[must_use]
    pub fn identifier(&self) -> Vec<u8> {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.0.bits)
            .as_ref()
            .to_vec()
    }

    /// Signs a message.
    ///
    /// # Panics
    /// When the key's kind cannot make that signature.
    #[must_use]
    pub fn sign(&self, signature: Signature, message: &[u8]) -> Vec<u8> {
        match self.0.kind {
            KeyKind::P256 => self.sign_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, message),
            KeyKind::P384 => self.sign_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, message),
            KeyKind::P521 => {
                let algorithm = match signature {
                    Signature::Sha256 => &ECDSA_P521_SHA256_ASN1_SIGNING,
                    Signature::Sha384 => &ECDSA_P521_SHA384_ASN1_SIGNING,
                    _ => &ECDSA_P521_SHA512_ASN1_SIGNING,
                };
                self.sign_ecdsa(algorithm, message)
            }
            KeyKind::Ed25519 => Ed25519KeyPair::from_pkcs8(&self.0.pkcs8)
                .expect("its own PKCS#8")
                .sign(message)
                .as_ref()
                .to_vec(),
            KeyKind::Rsa1024 => raw_rsa::sign(&self.0.pkcs8, signature, message),
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
                self.sign_rsa(signature, message)
            }
        }
    }

    fn sign_ecdsa(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        EcdsaKeyPair::from_pkcs8(algorithm, &self.0.pkcs8)
            .and_then(|pair| Ok(pair.sign(&SystemRandom::new(), message)?))
            .expect("its own PKCS#8")
            .as_ref()
            .to_vec()
    }

    fn sign_rsa(&self, signature: Signature, message: &[u8]) -> Vec<u8> {
        if self.0.pkcs8.is_empty() {
            return self.forge();
        }
        let encoding: &'static dyn signature::RsaEncoding = match signature {
            Signature::Sha1 => return raw_rsa::sign(&self.0.pkcs8, signature, message),
            Signature::Usual | Signature::Sha256 => &signature::RSA_PKCS1_SHA256,
            Signature::Sha384 => &signature::RSA_PKCS1_SHA384,
            Signature::Sha512 => &signature::RSA_PKCS1_SHA512,
            Signature::PssSha256 => &signature::RSA_PSS_SHA256,
            Signature::PssSha384 => &signature::RSA_PSS_SHA384,
            Signature::PssSha512 => &signature::RSA_PSS_SHA512,
        };
        let pair = rsa::KeyPair::from_pkcs8(&self.0.pkcs8).expect("its own PKCS#8");
        let mut out = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut out)
            .expect("RSA signs any message");
        out
    }

    /// A number below the modulus, as a signature is.
    fn forge(&self) -> Vec<u8> {
        let modulus = der::read(&self.0.bits).and_then(|(numbers, _)| der::read(numbers));
        let (modulus, _) = modulus.expect("its own public key");
        let length = modulus.iter().skip_while(|byte| **byte == 0).count();
        let mut below = vec![0; length - 1];
        rand::fill(&mut below).expect("the system draws bytes");
        [vec![0], below].concat()
    }
}

fn ecdsa(kind: KeyKind, algorithm: &'static EcdsaSigningAlgorithm) -> Parts {
    let pair = EcdsaKeyPair::generate(algorithm).expect("the system draws keys");
    let pkcs8 = pair.to_pkcs8v1().expect("a new key has a PKCS#8 form");
    parts(kind, pkcs8.as_ref(), pair.public_key())
}

fn ed25519() -> Parts {
    let pair = Ed25519KeyPair::generate().expect("the system draws keys");
    let pkcs8 = pair.to_pkcs8v1().expect("a new key has a PKCS#8 form");
    parts(KeyKind::Ed25519, pkcs8.as_ref(), pair.public_key())
}

fn rsa(kind: KeyKind, size: KeySize) -> Parts {
    let pair = rsa::KeyPair::generate(size).expect("the system draws keys");
    let pkcs8 = pair.as_der().expect("a new key has a PKCS#8 form");
    parts(kind, pkcs8.as_ref(), pair.public_key())
}

fn parts<K>(kind: KeyKind, pkcs8: &[u8], public: &K) -> Parts
where
    K: AsRef<[u8]> + AsDer<PublicKeyX509Der<'static>>,
{
    let spki = public.as_der().expect("a public key has a DER form");
    Parts {
        kind,
        pkcs8: pkcs8.to_vec(),
        spki: spki.as_ref().to_vec(),
        bits: public.as_ref().to_vec(),
    }
}

fn rsa_1024() -> Parts {
    let (private, public) = raw_rsa::key_of_1024_bits();
    let algorithm = rsa_encryption();
    Parts {
        kind: KeyKind::Rsa1024,
        pkcs8: der::sequence(&[
            der::unsigned(&[0]),
            algorithm.clone(),
            der::element(der::OCTET_STRING, &private),
        ]),
        spki: der::sequence(&[algorithm, der::bit_string(&public)]),
        bits: public,
    }
}

/// The AlgorithmIdentifier of RSA keys (RFC 3279 section 2.3.1).
fn rsa_encryption() -> Vec<u8> {
    der::sequence(&[der::oid(oid::RSA_ENCRYPTION), der::element(der::NULL, &[])])
}
