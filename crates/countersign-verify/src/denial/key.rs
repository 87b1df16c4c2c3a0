//! The digests that a public key can be denied by. A point of an elliptic curve can be written in several ways,
//! so one key has several digests, and whoever holds a denied key must not escape by the way that it is written.

use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey},
};
use countersign_types::digest::Sha256;

use crate::{
    der::{self, Reader},
    key::PublicKey,
};

/// SHA-256 of a public key info as it is written: its contents are given.
pub(super) fn sha256(info: &[u8]) -> Sha256 {
    Sha256::of(der::wrapped(der::SEQUENCE, info))
}

/// The digests of a key, however it is written.
pub(super) fn every_sha256(info: &[u8]) -> Vec<Sha256> {
    let mut all = vec![sha256(info)];
    all.extend(other_forms(info).into_iter().flatten());
    all
}

/// Of a key on an elliptic curve, the digests of its compressed and its uncompressed form (SEC 1 section 2.3.3)
/// that it is not written in.
fn other_forms(info: &[u8]) -> Option<Vec<Sha256>> {
    let algorithm = match PublicKey::read(info) {
        PublicKey::P256 => &signature::ECDSA_P256_SHA256_ASN1,
        PublicKey::P384 => &signature::ECDSA_P384_SHA384_ASN1,
        PublicKey::P521 => &signature::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    };
    let mut fields = Reader::new(info);
    let identifier = fields.take(der::SEQUENCE)?;
    let bits = fields.take(der::BIT_STRING)?;
    let point = bits.get(1..)?;
    let uncompressed = uncompressed(algorithm, point)?;
    let (x, y) = uncompressed.get(1..)?.split_at(uncompressed.len() / 2);
    let sign = 2 | (y.last()? & 1);
    let compressed = [&[sign], x].concat();
    let forms = [uncompressed.as_slice(), compressed.as_slice()];
    let others = forms.into_iter().filter(|form| *form != point);
    Some(
        others
            .map(|form| {
                let bits = [&[0], form].concat();
                let identifier = der::wrapped(der::SEQUENCE, identifier);
                let written = [identifier, der::wrapped(der::BIT_STRING, &bits)].concat();
                sha256(&written)
            })
            .collect(),
    )
}

/// A point in its uncompressed form.
fn uncompressed(algorithm: &'static EcdsaVerificationAlgorithm, point: &[u8]) -> Option<Vec<u8>> {
    match *point.first()? {
        4 => Some(point.to_vec()),
        // X9.62's hybrid form, which says the sign of a coordinate that is there.
        6 | 7 => Some([&[4], point.get(1..)?].concat()),
        _ => {
            let key = ParsedPublicKey::new(algorithm, point).ok()?;
            let written = key.as_der().ok()?;
            let mut fields = Reader::new(der::only(written.as_ref(), der::SEQUENCE)?);
            fields.take(der::SEQUENCE)?;
            let point = fields.take(der::BIT_STRING)?.get(1..)?;
            (point.first() == Some(&4)).then(|| point.to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testca::root;

    #[test]
    fn a_key_has_the_same_digests_however_its_point_is_written() {
        let leaf = root("CA").mint().leaf("a").mint();
        let fields = crate::x509::Certificate::read(leaf.der()).unwrap();
        let mut of_one = every_sha256(fields.key);
        let mut parts = Reader::new(fields.key);
        let identifier = der::wrapped(der::SEQUENCE, parts.take(der::SEQUENCE).unwrap());
        let point = &parts.take(der::BIT_STRING).unwrap()[1..];
        assert_eq!((point[0], point.len()), (4, 65));
        let sign = 2 | (point[64] & 1);
        let bits = [&[0, sign], &point[1..33]].concat();
        let info = [identifier, der::wrapped(der::BIT_STRING, &bits)].concat();
        let mut of_other = every_sha256(&info);
        assert_eq!(sha256(&info), of_other[0]);
        assert_ne!(of_one[0], of_other[0]);
        of_one.sort();
        of_other.sort();
        assert_eq!((of_one.len(), &of_one), (2, &of_other));
    }
}
