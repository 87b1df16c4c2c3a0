//! Public keys by kind and size: which ones may sign and be proved here, and what checking one
//! signature by each costs.

use std::fmt;

use rustls_pki_types::alg_id;

use crate::{
    der::{self, Reader},
    oid::name_or_numbers,
};

/// Sizes of RSA keys, in bits (docs/specification.md, section 2; the upper bound is aws-lc-rs's).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The largest public exponent of an RSA key: the one that practically every key has (FIPS 186-5
/// appendix A.1.1 wants at least this; a few old keys have 3 or 17). What a check costs grows with
/// the exponent's length: one of 33 bits, as long as aws-lc-rs takes, costs two and a half times
/// as much, and nobody needs it.
const MAX_RSA_EXPONENT: u32 = 65_537;

/// 1.2.840.113549.1.1.1, rsaEncryption.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.10045.2.1, id-ecPublicKey.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

/// A public key, as far as it decides whether and at what cost signatures by it are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    Rsa {
        bits: usize,
        exponent: RsaExponent,
    },
    P256,
    P384,
    P521,
    Ed25519,
    /// An elliptic curve that is not supported, by the contents of its object identifier.
    OtherCurve(&'a [u8]),
    /// An elliptic curve that is given by its parameters, not by its name.
    ExplicitCurve,
    /// Another algorithm, by the contents of its object identifier.
    OtherAlgorithm(&'a [u8]),
    /// Bytes that are not a key.
    Malformed,
}

/// The public exponent of an RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaExponent {
    Small(u32),
    /// Of more than 32 bits: how many.
    Bits(usize),
}

impl<'a> PublicKey<'a> {
    /// Reads the contents of a subject public key info (RFC 5280 section 4.1.2.7).
    pub(crate) fn read(info: &'a [u8]) -> Self {
        Self::read_fields(info).unwrap_or(Self::Malformed)
    }

    fn read_fields(info: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(info);
        let algorithm = fields.take(der::SEQUENCE)?;
        let bits = fields.take(der::BIT_STRING)?;
        let mut identifier = Reader::new(algorithm);
        let name = identifier.take(der::OBJECT_IDENTIFIER)?;
        let supported = [
            (alg_id::ECDSA_P256, Self::P256),
            (alg_id::ECDSA_P384, Self::P384),
            (alg_id::ECDSA_P521, Self::P521),
            (alg_id::ED25519, Self::Ed25519),
        ];
        // A key is a whole number of bytes: the first byte, the unused bits, is 0.
        let [0, key @ ..] = bits else {
            return None;
        };
        if let Some((_, known)) = supported.iter().find(|(id, _)| id.as_ref() == algorithm) {
            return Some(*known);
        }
        if name == EC_PUBLIC_KEY {
            let curve = identifier.take(der::OBJECT_IDENTIFIER);
            return Some(curve.map_or(Self::ExplicitCurve, Self::OtherCurve));
        }
        // RFC 3279 section 2.3.1: with NULL for parameters, and so webpki wants it.
        if name == RSA_ENCRYPTION && algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            return Self::rsa(key);
        }
        Some(Self::OtherAlgorithm(name))
    }

    /// Reads the bits of an RSA key (RFC 8017 appendix A.1.1).
    pub(crate) fn rsa(key: &[u8]) -> Option<Self> {
        let mut numbers = Reader::new(der::only(key, der::SEQUENCE)?);
        let modulus = positive(numbers.take(der::INTEGER)?)?;
        let exponent = positive(numbers.take(der::INTEGER)?)?;
        if !numbers.at_end() {
            return None;
        }
        let size = bit_length(exponent);
        let small = exponent
            .iter()
            .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        Some(Self::Rsa {
            bits: bit_length(modulus),
            exponent: match size {
                0..=32 => RsaExponent::Small(small),
                _ => RsaExponent::Bits(size),
            },
        })
    }

    /// Whether signatures by it are checked here (docs/specification.md, section 2, step 5).
    pub(crate) fn is_supported(self) -> bool {
        match self {
            Self::P256 | Self::P384 | Self::P521 | Self::Ed25519 => true,
            Self::Rsa { bits, exponent } => RSA_BITS.contains(&bits) && exponent.is_supported(),
            Self::OtherCurve(_)
            | Self::ExplicitCurve
            | Self::OtherAlgorithm(_)
            | Self::Malformed => false,
        }
    }

    /// Whether it is an RSA key of a supported size whose exponent alone is not supported.
    pub(crate) fn has_unsupported_exponent(self) -> bool {
        matches!(self, Self::Rsa { bits, exponent }
            if RSA_BITS.contains(&bits) && !exponent.is_supported())
    }
}

impl RsaExponent {
    /// Odd, as every exponent of a working key is; 1 would make everything its own signature.
    const fn is_supported(self) -> bool {
        matches!(self, Self::Small(value @ 3..=MAX_RSA_EXPONENT) if value % 2 == 1)
    }
}

/// The digits of a positive integer in DER, shortest form (X.690 section 8.3).
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => Some(digits),
        digits @ [1..=0x7f, ..] => Some(digits),
        _ => None,
    }
}

/// The bits of a number whose first digit is not zero.
fn bit_length(digits: &[u8]) -> usize {
    let top = digits
        .first()
        .map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or(8));
    (digits.len() * 8).saturating_sub(top)
}

/// The kind and the size: `RSA 1024 bits`, `ECDSA P-256`, `ECDSA on the curve secp256k1`.
impl fmt::Display for PublicKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits, exponent } => {
                write!(f, "RSA {bits} bits")?;
                match exponent {
                    _ if exponent.is_supported() => Ok(()),
                    RsaExponent::Small(value) => write!(f, " with the exponent {value}"),
                    RsaExponent::Bits(size) => write!(f, " with an exponent of {size} bits"),
                }
            }
            Self::OtherCurve(id) => write!(f, "ECDSA on the curve {}", name_or_numbers(id)),
            Self::ExplicitCurve => f.write_str("ECDSA on a curve given by its parameters"),
            Self::OtherAlgorithm(id) => f.write_str(&name_or_numbers(id)),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey<'static>> {
        let integer = |digits: &[u8]| {
            let length = u8::try_from(digits.len()).unwrap();
            [&[der::INTEGER, 0x81, length], digits].concat()
        };
        let short = |digits: &[u8]| {
            let length = u8::try_from(digits.len()).unwrap();
            [&[der::INTEGER, length], digits].concat()
        };
        let modulus = if modulus.len() > 127 {
            integer(modulus)
        } else {
            short(modulus)
        };
        let contents = [modulus, short(exponent)].concat();
        let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
        let header = if contents.len() < 128 {
            vec![der::SEQUENCE, length[1]]
        } else if length[0] == 0 {
            vec![der::SEQUENCE, 0x81, length[1]]
        } else {
            vec![der::SEQUENCE, 0x82, length[0], length[1]]
        };
        let der = [header, contents].concat();
        match PublicKey::rsa(&der)? {
            PublicKey::Rsa { bits, exponent } => Some(PublicKey::Rsa { bits, exponent }),
            _ => None,
        }
    }

    #[test]
    fn rsa_keys_are_described_by_their_size_and_exponent() {
        for (modulus, exponent, expected) in [
            (&[0, 0x80][..], &[3][..], Some("RSA 8 bits")),
            (&[0x01, 0xff], &[1, 0, 1], Some("RSA 9 bits")),
            (&[0x7f], &[17], Some("RSA 7 bits")),
            (&[0x7f], &[1], Some("RSA 7 bits with the exponent 1")),
            (&[0x7f], &[2], Some("RSA 7 bits with the exponent 2")),
            (
                &[0x7f],
                &[1, 0, 3],
                Some("RSA 7 bits with the exponent 65539"),
            ),
            (
                &[0x7f],
                &[1, 0, 0, 0, 1],
                Some("RSA 7 bits with an exponent of 33 bits"),
            ),
            (&[0x7f], &[0, 3], None),
            (&[0x80], &[3], None),
            (&[0], &[3], None),
            (&[], &[3], None),
        ] {
            let shown = rsa(modulus, exponent).map(|key| key.to_string());
            assert_eq!(shown.as_deref(), expected, "{modulus:?} {exponent:?}");
        }
    }

    #[test]
    fn only_usual_sizes_and_exponents_of_rsa_are_supported() {
        let key = |bits, exponent| PublicKey::Rsa { bits, exponent };
        for (bits, exponent, supported) in [
            (2047, RsaExponent::Small(65_537), false),
            (2048, RsaExponent::Small(65_537), true),
            (2048, RsaExponent::Small(3), true),
            (2048, RsaExponent::Small(1), false),
            (2048, RsaExponent::Small(65_536), false),
            (2048, RsaExponent::Small(65_539), false),
            (8192, RsaExponent::Small(17), true),
            (8193, RsaExponent::Small(17), false),
            (8192, RsaExponent::Bits(33), false),
        ] {
            assert_eq!(key(bits, exponent).is_supported(), supported, "{bits}");
        }
    }

    #[test]
    fn other_keys_are_named() {
        let info = |algorithm: &[u8]| {
            let length = u8::try_from(algorithm.len()).unwrap();
            [
                &[der::SEQUENCE, length],
                algorithm,
                &[der::BIT_STRING, 2, 0, 4],
            ]
            .concat()
        };
        let curve = |curve: &[u8]| {
            let mut algorithm = vec![der::OBJECT_IDENTIFIER, 7];
            algorithm.extend(EC_PUBLIC_KEY);
            algorithm.extend(curve);
            info(&algorithm)
        };
        for (info, expected) in [
            (
                curve(&[6, 5, 0x2b, 0x81, 4, 0, 0x0a]),
                "ECDSA on the curve secp256k1",
            ),
            (
                curve(&[6, 5, 0x2b, 0x81, 4, 0, 0x21]),
                "ECDSA on the curve P-224",
            ),
            (curve(&[6, 2, 0x2a, 3]), "ECDSA on the curve 1.2.3"),
            (
                curve(&[der::SEQUENCE, 0]),
                "ECDSA on a curve given by its parameters",
            ),
            (info(&[6, 2, 0x2a, 3]), "1.2.3"),
            (vec![5, 0], "malformed"),
        ] {
            let key = PublicKey::read(&info);
            assert_eq!(key.to_string(), expected);
            assert!(!key.is_supported());
        }
    }
}
