//! RSA that good libraries no longer produce: keys of 1,024 bits, and SHA-1.
//!
//! The verifier has to refuse real ones, not only imitations.

use aws_lc_rs::digest;
use num_bigint::BigUint;

use crate::{der, oid, signature::Signature};

/// The primes of the one key of 1,024 bits. It protects nothing.
const P: &[u8] = b"C8AB16353E9FC52EE5703E01D8058AC978B0639BE4BEF36B3198CD5A4D168766\
5593924BA100E00D49E7FB2B8002A43FE0CC4F6CAC972AB241336E1C4561CCB1";
const Q: &[u8] = b"D3E0BB3123F2334AD75BA09C7A4E0A5C084E9DC92F1D172F55D5970F7DDA8EC2\
1A5E7195F0663A69B4BEF674CC8203D9CC76ADE7B04FF97A416BFD8327955FAD";
const EXPONENT: u32 = 65_537;

/// RSAPrivateKey and RSAPublicKey of RFC 8017 appendix A.1, in DER.
pub(crate) fn key_of_1024_bits() -> (Vec<u8>, Vec<u8>) {
    let prime = |hex| BigUint::parse_bytes(hex, 16).expect("hexadecimal");
    let (p, q) = (prime(P), prime(Q));
    let (one, e) = (BigUint::from(1_u32), BigUint::from(EXPONENT));
    let (p_less, q_less) = (&p - &one, &q - &one);
    let d = e
        .modinv(&(&p_less * &q_less))
        .expect("65537 divides neither prime less one");
    let n = &p * &q;
    let coefficient = q.modinv(&p).expect("two primes");
    let integer = |number: &BigUint| der::unsigned(&number.to_bytes_be());
    let private = der::sequence(&[
        der::unsigned(&[0]),
        integer(&n),
        integer(&e),
        integer(&d),
        integer(&p),
        integer(&q),
        integer(&(&d % &p_less)),
        integer(&(&d % &q_less)),
        integer(&coefficient),
    ]);
    (private, der::sequence(&[integer(&n), integer(&e)]))
}

/// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.1), by the definition.
pub(crate) fn sign(pkcs8: &[u8], signature: Signature, message: &[u8]) -> Vec<u8> {
    let (n, d) = modulus_and_exponent(pkcs8).expect("the PKCS#8 of an RSA key");
    let (algorithm, name) = match signature {
        Signature::Sha1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, oid::SHA1),
        Signature::Usual | Signature::Sha256 => (&digest::SHA256, oid::SHA256),
        Signature::Sha384 => (&digest::SHA384, oid::SHA384),
        Signature::Sha512 => (&digest::SHA512, oid::SHA512),
        pss => panic!("{pss:?} is for RSA keys of 2048 bits and more"),
    };
    let hash = digest::digest(algorithm, message);
    let info = der::sequence(&[
        der::sequence(&[der::oid(name), der::element(der::NULL, &[])]),
        der::element(der::OCTET_STRING, hash.as_ref()),
    ]);
    let size = usize::try_from(n.bits().div_ceil(8)).expect("a key in memory");
    let padding = vec![0xff; size - info.len() - 3];
    let block = [&[0, 1], padding.as_slice(), &[0], &info].concat();
    let signed = BigUint::from_bytes_be(&block).modpow(&d, &n).to_bytes_be();
    [vec![0; size - signed.len()], signed].concat()
}

fn modulus_and_exponent(pkcs8: &[u8]) -> Option<(BigUint, BigUint)> {
    let (info, _) = der::read(pkcs8)?;
    let (_version, rest) = der::read(info)?;
    let (_algorithm, rest) = der::read(rest)?;
    let (octets, _) = der::read(rest)?;
    let (key, _) = der::read(octets)?;
    let (_version, rest) = der::read(key)?;
    let (n, rest) = der::read(rest)?;
    let (_e, rest) = der::read(rest)?;
    let (d, _) = der::read(rest)?;
    Some((BigUint::from_bytes_be(n), BigUint::from_bytes_be(d)))
}
